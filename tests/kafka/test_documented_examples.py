"""An example response of every stream is fetched over HTTP, published to Kafka and read back.

Where the two vendors' documents have an example, it is that one. The expected fields of each stream are verified by
hand in tests/vendors.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from collector.vendors.quividi.export_settings import EXPORT_TYPES
from collector.vendors.quividi.topology.listings import LISTINGS
from tests.contracts.examples import quividi, seemetrix
from tests.contracts.examples.example import published
from tests.faults.clocks import Clock
from tests.kafka import hasty
from tests.kafka.daemon import reading, until
from tests.kafka.scenario import Replica, read_all
from tests.vendors.loopback import serving
from tests.vendors.quividi import aggregated, finest, status, topology
from tests.vendors.quividi.example import STARTED
from tests.vendors.seemetrix import documented
from tests.vendors.seemetrix.example import RAW_DATA

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

SEEMETRIX = {
    "/api/statistics/user/371/raw/data/": RAW_DATA,
    "/api/user/371/devices/": documented.DEVICES,
    "/api/user/371/counters": documented.COUNTERS,
    "/api/statistics/user/371/": documented.USER_STATISTICS,
    "/api/v2/statistics/user/371/devices/dates/emotions/": documented.FULL_TREE,
}
EXPORTS = {
    f"{EXPORT_TYPES[stream].data_type} {'1h' if EXPORT_TYPES[stream].is_aggregated else 'finest'}": response
    for stream, response in {**finest.RESPONSES, **aggregated.ALL_EXAMPLES}.items()
}
EXTRAPOLATED = tuple(stream for stream in aggregated.ALL_EXAMPLES if EXPORT_TYPES[stream].place is None)
LISTS = {
    **{path.removeprefix("/api"): response for path, response in topology.RESPONSES.items()},
    "/v1/site_tags/": b"[]",  # the example of `tags` is that of locations
    "/v1/alerts/": status.ALERTS,
    "/v1/monitoring_msgs/": status.MESSAGES,
}
"""Quividi's lists, by path."""
LIVE = ("devices", "counters", "alerts", "monitoring", *LISTINGS)
"""The streams that are never complete."""
HISTORY = 'interval = "1s"\nsettle = "1s"'
DAYS = {"viewers": "2018-01-29", "viewers_apc": "2018-01-14", "gate": "2018-01-19"} | dict.fromkeys(
    finest.ROWS, "2026-01-14"
)
"""Days of the examples, by stream; all others have the day of `viewers`."""
VARYING_FIELDS = ("source", "seen_at")
"""Fields that differ between two runs."""
IDENTITY_FIELDS = ("event_id", "record_id", "selection")
"""Fields that differ between two selections of locations."""


class Vendors:
    """Both vendors, which return the example of the requested stream. An export is ready when it is polled again."""

    def __init__(self) -> None:
        self._started: set[str] = set()

    async def respond(self, request: web.BaseRequest) -> web.Response:
        if request.path in SEEMETRIX:
            return web.Response(body=SEEMETRIX[request.path])
        if request.path in LISTS:
            return web.Response(body=LISTS[request.path])
        if request.path != "/v1/data/":
            return web.Response(status=404)
        if request.query_string not in self._started:
            self._started.add(request.query_string)
            return web.Response(body=STARTED)
        return web.Response(body=EXPORTS[f"{request.query['data_type']} {request.query['time_resolution']}"])


def seemetrix_source(url: str, name: str, bounds: str, streams: str) -> str:
    return f"""
[sources.{name}]
vendor = "seemetrix"
base_url = "{url}/api"
user_id = 371
user_key = "invented-key-42"
{bounds}
{streams}
"""


def quividi_source(url: str, stream: str) -> str:
    day = DAYS.get(stream, DAYS["viewers"])
    selector = "sites = [178]" if "by_site" in stream else "locations = [4636]"
    extrapolation = "extrapolation_amount = 100" if stream in EXTRAPOLATED else ""
    return f"""
[sources.of_{stream}]
vendor = "quividi"
base_url = "{url}/v1"
username = "airport"
token = "invented-token-42"
{selector}
timezone = "Europe/Paris"
max_requests_per_minute = 100000
since = {day}T00:00:00+01:00
until = {day}T23:00:00+01:00
[sources.of_{stream}.streams.{stream}]
{HISTORY}
{extrapolation}
"""


def quividi_lists(url: str) -> str:
    tables = "".join(f"[sources.lists.streams.{stream}]\n" for stream in ("alerts", "monitoring", *LISTINGS))
    return f"""
[sources.lists]
vendor = "quividi"
base_url = "{url}/v1"
username = "airport"
token = "invented-token-42"
locations = [5120]
timezone = "Europe/Paris"
max_requests_per_minute = 100000
since = 2026-10-31T00:00:00Z
{tables}
"""


def sources(url: str) -> str:
    return "".join(
        (
            seemetrix_source(url, "raw", _bounds("2019-07-01T11", "2019-07-01T12"), "[sources.raw.streams.sessions]"),
            seemetrix_source(url, "now", "", "[sources.now.streams.devices]\n[sources.now.streams.counters]"),
            seemetrix_source(
                url,
                "hours",
                _bounds("2017-09-12T12", "2017-09-14T12"),
                f"[sources.hours.streams.statistics]\n{HISTORY}",
            ),
            seemetrix_source(
                url,
                "tree",
                _bounds("2016-12-01T00", "2017-06-01T00"),
                f'[sources.tree.streams.breakdown]\n{HISTORY}\nlevels = ["devices", "dates", "emotions"]\n'
                'resolution = "6M"\nanchor = 2016-12-01\ndt_format = "MM"',
            ),
            *(quividi_source(url, stream) for stream in (*finest.RESPONSES, *aggregated.ALL_EXAMPLES)),
            quividi_lists(url),
        )
    )


def _bounds(since: str, until: str) -> str:
    return f"since = {since}:00:00Z\nuntil = {until}:00:00Z"


async def test_every_example_of_the_documents_is_published_as_documented(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    expected = contents(
        (message.topic, json.loads(message.value))
        for example in (*seemetrix.EXAMPLES[:5], *quividi.EXAMPLES)
        for message in published(example)
        if not message.topic.endswith(("dead_letters", "quividi.rows"))
    )
    topics = sorted({topic for topic, _ in expected})
    async with serving(Vendors().respond) as url, reading(kafka, [prefix + topic for topic in topics]) as reader:
        daemon = Replica(tmp_path, kafka, prefix, sources(url))
        clock = Clock(tmp_path / "skew")
        clock.set(0)
        daemon.program = (str(Path(hasty.__file__)), str(clock.file))
        daemon.start()

        async def is_done() -> bool:
            assert daemon.is_running(), daemon.log.read_text("utf-8")
            code, body = await daemon.get("/api/status")
            rows: list[dict[str, Any]] = json.loads(body)["streams"] if code == 200 else []
            states = {row["stream"]: row["state"] for row in rows}
            return bool(rows) and states == {each: "live" if each in LIVE else "complete" for each in states}

        try:
            await until(
                is_done,
                "every stream with an `until` is complete, and all others are live",
                within_s=400,  # three of Quividi's exports run at a time
            )
        finally:
            daemon.stop()
        messages = await read_all(reader)
    found = contents((each.topic.removeprefix(prefix), each.value) for each in messages)
    assert ([], []) == ([*(expected - found)], [*(found - expected)])


def contents(messages: Iterable[tuple[str, Mapping[str, Any]]]) -> Counter[tuple[str, str]]:
    """How often each value occurs in each topic, without the fields that vary."""
    found = Counter[tuple[str, str]]()
    for topic, value in messages:
        # The identity of an extrapolation contains the selected locations.
        varying = (*VARYING_FIELDS, *(IDENTITY_FIELDS if topic.removeprefix("quividi.") in EXTRAPOLATED else ()))
        fixed = {name: each for name, each in value.items() if name not in varying}
        found[topic, json.dumps(fixed, sort_keys=True)] += 1
    return found
