"""Every example response of the two vendors' documents is fetched over HTTP, published to Kafka and read back.

The expected fields of each stream are verified by hand in tests/vendors.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.contracts.examples import quividi, seemetrix
from tests.contracts.examples.example import published
from tests.kafka.daemon import reading, until
from tests.kafka.scenario import Replica, read_all
from tests.vendors.loopback import serving
from tests.vendors.quividi import aggregated, finest
from tests.vendors.quividi.example import STARTED
from tests.vendors.seemetrix import documented
from tests.vendors.seemetrix.example import RAW_DATA

pytestmark = pytest.mark.anyio

SEEMETRIX = {
    "/api/statistics/user/371/raw/data/": RAW_DATA,
    "/api/user/371/devices/": documented.DEVICES,
    "/api/user/371/counters": documented.COUNTERS,
    "/api/statistics/user/371/": documented.USER_STATISTICS,
    "/api/v2/statistics/user/371/devices/dates/emotions/": documented.FULL_TREE,
}
QUIVIDI = {f"{stream} finest": answer for stream, answer in finest.RESPONSES.items()} | {
    f"{'viewers' if stream == 'viewers_aggregated' else stream} 1h": answer
    for stream, answer in aggregated.EXAMPLES.items()
}
HISTORY = 'interval = "1s"\nsettle = "1s"'
DAYS = {"viewers": "2018-01-29", "viewers_apc": "2018-01-14", "gate": "2018-01-19"} | dict.fromkeys(
    finest.ROWS, "2026-01-14"
)
"""Days of the examples, by stream; all others have the day of `viewers`."""
VARYING_FIELDS = ("source", "seen_at")
"""Fields that differ between two runs."""


class Vendors:
    """Both vendors, which return the example of the requested stream. An export is ready when it is polled again."""

    def __init__(self) -> None:
        self._started: set[str] = set()

    async def respond(self, request: web.BaseRequest) -> web.Response:
        if request.path in SEEMETRIX:
            return web.Response(body=SEEMETRIX[request.path])
        if request.path != "/v1/data/":
            return web.Response(status=404)
        if request.query_string not in self._started:
            self._started.add(request.query_string)
            return web.Response(body=STARTED)
        return web.Response(body=QUIVIDI[f"{request.query['data_type']} {request.query['time_resolution']}"])


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
    selector = "sites = [178]" if stream.endswith("by_site") else "locations = [4636]"
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
            *(quividi_source(url, stream) for stream in (*finest.RESPONSES, *aggregated.EXAMPLES)),
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
        if not message.topic.endswith("dead_letters")
    )
    topics = sorted({topic for topic, _ in expected})
    assert 25 == len(topics)
    async with serving(Vendors().respond) as url, reading(kafka, [prefix + topic for topic in topics]) as reader:
        daemon = Replica(tmp_path, kafka, prefix, sources(url))
        daemon.start()

        async def is_done() -> bool:
            code, body = await daemon.get("/api/status")
            rows: list[dict[str, Any]] = json.loads(body)["streams"] if code == 200 else []
            live = [row for row in rows if row["stream"] in ("devices", "counters")]
            return bool(rows) and all(row["state"] == ("live" if row in live else "complete") for row in rows)

        try:
            await until(
                is_done,
                "every stream with an `until` is complete, and all others are live",
                within_s=180,  # three of Quividi's exports run at a time, and each is polled after some seconds
            )
        finally:
            daemon.stop()
        messages = await read_all(reader)
    assert expected == contents((each.topic.removeprefix(prefix), each.value) for each in messages)


def contents(messages: Iterable[tuple[str, Mapping[str, Any]]]) -> Counter[tuple[str, str]]:
    """How often each value occurs in each topic, without the fields that vary."""
    return Counter(
        (topic, json.dumps({name: each for name, each in value.items() if name not in VARYING_FIELDS}, sort_keys=True))
        for topic, value in messages
    )
