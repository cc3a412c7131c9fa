"""`collector preview` of every stream of a Quividi source, against the simulated vendor."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.harness import collector
from tests.commands.simulation import lines, simulating

pytestmark = pytest.mark.anyio

SITE = """
[sources.terminal]
vendor = "quividi"
base_url = "{url}"
username = "airport"
token = "simulated-token"
sites = [300]
timezone = "Europe/Paris"
[sources.terminal.streams.proof_of_play_by_site]
"""
STREAMS = """
[sources.airport.streams.viewers]
[sources.airport.streams.viewers_apc]
content_ids = ["content 8001", "content 8002", "content 8003", "content 8004"]
[sources.airport.streams.viewers_aggregated]
resolution = "30m"
group_by_demographics = true
[sources.airport.streams.ots]
[sources.airport.streams.gate]
resolution = "1d"
[sources.airport.streams.proof_of_play_by_location]
resolution = "15m"
content_ids = ["content 8001"]
"""
MORNING = ("--start", "2026-11-06T08:00:00Z", "--end", "2026-11-06T10:00:00Z", "--limit", "100000")


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "config.toml"
    with simulating("--fast", "--devices", "2", "--rate", "120") as (_, printed):
        url = next(line for line in printed.splitlines() if line.endswith('/api/v1"')).split('"')[1]
        path.write_text(printed + STREAMS + SITE.format(url=url), "utf-8")
        yield path


@pytest.mark.parametrize(
    ("source", "stream", "expected"),
    [
        ("airport", "viewers", {"quividi.viewer.v1": None}),
        ("airport", "viewers_apc", {"quividi.viewer_apc.v1": None, "quividi.viewer_content.v1": None}),
        ("airport", "viewers_aggregated", {"quividi.viewers_aggregated.v1": 2 * 4 * 15}),
        ("airport", "ots", {"quividi.ots.v1": 2 * 2}),
        ("airport", "gate", {"quividi.gate.v1": 2 * 2}),  # of the previous day: the present one is not complete
        ("airport", "proof_of_play_by_location", {"quividi.proof_of_play_by_location.v1": None}),
        ("terminal", "proof_of_play_by_site", {"quividi.proof_of_play_by_site.v1": None}),
    ],
)
async def test_preview_prints_the_events_of_every_stream(
    config: Path, source: str, stream: str, expected: dict[str, int | None]
) -> None:
    result = await collector("preview", source, stream, *MORNING, "--config", str(config))

    assert (0, "") == (result.code, result.err.partition(" events")[2].strip())
    found = Counter(line["headers"]["ce_type"] for line in lines(result))
    assert expected.keys() == found.keys()
    assert {kind: count or found[kind] for kind, count in expected.items()} == found
