"""A reload makes new handles for what has changed, and keeps all others."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from collector.config import load
from collector.configured import Changes, ConfiguredSources, Surroundings
from collector.stream_handle import StreamHandle
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from collector.vendors.http import http
from collector.vendors.limits import Limits
from tests.simulated import SimulatedClock

pytestmark = pytest.mark.anyio

MALL = """
[sources.mall]
vendor = "seemetrix"
user_id = 864
user_key = "invented-key-42"
[sources.mall.streams.sessions]
[sources.mall.streams.devices]
"""
AIRPORT = """
[sources.airport]
vendor = "quividi"
username = "airport"
token = "invented-token-42"
locations = [1, 2]
timezone = "Europe/Paris"
[[sources.airport.zones]]
timezone = "Asia/Tokyo"
locations = [2]
[sources.airport.streams.viewers]
[sources.airport.streams.gate]
"""


class Scenario:
    """Sources that are configured again and again."""

    def __init__(self, surroundings: Surroundings, folder: Path) -> None:
        self.metrics, self.status = surroundings.metrics, surroundings.process_status
        self.http = surroundings.http
        self._sources = ConfiguredSources(surroundings, 32)
        self._path = folder / "config.toml"

    def apply(self, text: str) -> tuple[Changes, dict[str, StreamHandle]]:
        """What has changed, and the handles by source and stream."""
        self._path.write_text(text, "utf-8")
        changes = self._sources.apply(load(self._path))
        handles = [each for streams in self._sources.by_partition().values() for each in streams]
        self._sources.release_replaced()
        return changes, {f"{each.stream.source} {each.stream.name}": each for each in handles}

    def series(self, source: str) -> set[tuple[str, str]]:
        """The names of the metrics of a source, with their streams."""
        return {
            (sample.name, sample.labels.get("stream", ""))
            for metric in self.metrics.registry.collect()
            for sample in metric.samples
            if sample.labels.get("source") == source
        }


@pytest.fixture
async def scenario(tmp_path: Path) -> AsyncIterator[Scenario]:
    clock = SimulatedClock()
    async with http(clock) as client:
        surroundings = Surroundings(Metrics(), ProcessStatus("1", "g"), clock, Random(1), client, None, lambda: None)
        yield Scenario(surroundings, tmp_path)


async def test_nothing_changes_without_a_change(scenario: Scenario) -> None:
    _, before = scenario.apply(MALL + AIRPORT)
    changes, after = scenario.apply(AIRPORT + MALL.replace("\n", "  \n"))

    assert Changes(added=[], changed=[], removed=[]) == changes
    assert before == after


async def test_a_new_source_leaves_the_others(scenario: Scenario) -> None:
    _, before = scenario.apply(MALL)
    changes, after = scenario.apply(MALL + AIRPORT)

    assert Changes(added=["airport"], changed=[], removed=[]) == changes
    assert {"airport viewers", "airport viewers@Asia/Tokyo", "airport gate", "airport gate@Asia/Tokyo"} == (
        after.keys() - before.keys()
    )
    assert before.items() <= after.items()
    assert ["mall", "airport"] == [each.source for each in scenario.status.sources]
    assert len(scenario.status.streams) == len(after)


async def test_a_changed_table_replaces_its_stream_with_all_shards(scenario: Scenario) -> None:
    _, before = scenario.apply(MALL + AIRPORT)
    changed = AIRPORT.replace("streams.viewers]", 'streams.viewers]\ninterval = "45m"')
    changes, after = scenario.apply(MALL + changed)

    assert Changes(added=[], changed=["airport"], removed=[]) == changes
    replaced = {name for name in before if before[name] is not after[name]}
    assert {"airport viewers", "airport viewers@Asia/Tokyo"} == replaced
    assert 45 * 60 == after["airport viewers"].stream.policy.interval.total_seconds()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("locations = [1, 2]", "locations = [1, 2, 3]"),
        ('token = "invented-token-42"', 'token = "invented-token-43"'),
        ('token = "invented-token-42"', 'token = { env = "COLLECTOR_TEST_TOKEN" }'),
        ("locations = [1, 2]", 'locations = [1, 2]\ntopic_prefix = "acme."'),
        ("locations = [1, 2]", 'locations = [1, 2]\ntimeout = "61s"'),
        ("locations = [1, 2]", "locations = [1, 2]\nsince = 2026-11-01T00:00:00Z"),
    ],
)
async def test_a_changed_key_of_a_source_replaces_all_its_streams(scenario: Scenario, before: str, after: str) -> None:
    _, former = scenario.apply(MALL + AIRPORT)
    _, present = scenario.apply(MALL + AIRPORT.replace(before, after))

    kept = {name for name in former if former[name] is present[name]}
    assert {"mall sessions", "mall devices"} == kept


async def test_a_replaced_stream_keeps_its_counts_and_loses_its_notices(scenario: Scenario) -> None:
    _, before = scenario.apply(AIRPORT)
    status = before["airport viewers"].telemetry.status
    status.events["quividi.viewer.v1"] = 7
    status.notices.append("since = … is ignored")
    _, after = scenario.apply(AIRPORT.replace("locations = [1, 2]", "locations = [2]"))

    assert after["airport viewers"].telemetry.status is status
    assert 7 == status.events["quividi.viewer.v1"]
    assert not status.notices


async def test_the_metrics_of_removed_streams_and_sources_are_removed(scenario: Scenario) -> None:
    scenario.apply(MALL + AIRPORT)
    assert {"sessions", "devices"} <= {stream for _, stream in scenario.series("mall")}

    scenario.apply(MALL.replace("[sources.mall.streams.devices]", "") + AIRPORT)
    assert "devices" not in {stream for _, stream in scenario.series("mall")}

    changes, _ = scenario.apply(AIRPORT)
    assert ["mall"] == changes.removed
    assert not scenario.series("mall")
    assert ["airport"] == [each.source for each in scenario.status.sources]


async def test_until_is_no_longer_exported_once_it_is_removed(scenario: Scenario) -> None:
    name = "collector_stream_until_timestamp_seconds"
    scenario.apply(MALL.replace("user_id", "until = 2026-12-01T00:00:00Z\nuser_id"))
    assert (name, "sessions") in scenario.series("mall")
    scenario.apply(MALL)
    assert (name, "sessions") not in scenario.series("mall")


async def test_a_source_of_another_vendor_under_the_same_name_starts_anew(scenario: Scenario) -> None:
    scenario.apply(MALL)
    _, after = scenario.apply(AIRPORT.replace("airport", "mall"))

    assert {"quividi"} == {each.vendor for each in scenario.status.streams}
    assert len(after) == len(scenario.status.streams)
    assert "sessions" not in {stream for _, stream in scenario.series("mall")}


async def test_other_limits_make_another_limiter(scenario: Scenario) -> None:
    first = scenario.http.limiter("seemetrix/864", Limits(max_concurrency=1))
    assert first is scenario.http.limiter("seemetrix/864", Limits(max_concurrency=1))
    assert first is not scenario.http.limiter("seemetrix/864", Limits(max_concurrency=2))
