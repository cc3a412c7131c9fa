"""All of Quividi's exports at once: Kafka eventually has the numbers that the simulated vendor has."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from jsonschema import Draft202012Validator

from collector.instants import floor_second
from collector.schemas import event_types, json_schema
from collector.simulator import export_request, vidicenter
from collector.simulator.rules import Rules
from collector.simulator.server import Simulated, serving
from collector.simulator.vidicenter import VidiCenter
from collector.simulator.world import FAST, Visit
from tests.kafka.daemon import Received, reading, until
from tests.kafka.scenario import DEVICES, MAX_CALLS, ZONE, BoundedWorld, Replica, read_all

pytestmark = pytest.mark.anyio

STEP = timedelta(minutes=5)
SITE = 300
NEVER_MS = 1 << 50
COUNTED = ("viewers_aggregated", "ots", "gate", "proof_of_play_by_location", "proof_of_play_by_site")
TOPICS = tuple(f"quividi.{name}" for name in (*COUNTED, "viewers_apc", "viewer_contents"))
TIMING = """
interval = "2s"
settle = "2s"
allowed_lateness = "2h"
sweep_every = "3s"
"""
Row = Mapping[str, Any]
Numbers = dict[tuple[Any, ...], tuple[Any, ...]]


class Upload:
    """When the offline box uploads its records; never, until the test sets it."""

    at_ms = NEVER_MS


class WorldWithOfflineBox(BoundedWorld, frozen=True, dict=True):
    """A world in which one box uploads nothing before `upload`."""

    box: int = 0
    upload: Upload = Upload()

    def between(self, device: int, first_ms: int, last_ms: int) -> Iterator[Visit]:
        for visit in BoundedWorld.between(self, device, first_ms, last_ms):
            yield (
                visit
                if device != self.box
                else msgspec.structs.replace(visit, box_uploaded_ms=max(visit.box_uploaded_ms, self.upload.at_ms))
            )


def source(vendors: Simulated, name: str, selector: str, since: datetime, tables: str) -> str:
    return f"""
[sources.{name}]
vendor = "quividi"
base_url = "{vendors.url("quividi")}"
username = "{vidicenter.USERNAME}"
token = "{vidicenter.TOKEN}"
{selector}
timezone = "{ZONE}"
since = {since.isoformat()}
timeout = "5s"
max_requests_per_minute = {MAX_CALLS}
{tables}
"""


def table(source: str, stream: str, keys: str = 'resolution = "5m"') -> str:
    return f"[sources.{source}.streams.{stream}]\n{keys}{TIMING}"


def exported(vendor: VidiCenter, stream: str, since: datetime, end: datetime) -> list[Row]:
    """The rows that the vendor would export now."""
    first, last = (each.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None) for each in (since, end - timedelta(seconds=1)))
    query = {
        "data_type": "viewers" if stream == "viewers_aggregated" else stream,
        "time_resolution": "finest" if stream == "viewers_apc" else "5m",
        "start": first.isoformat(),
        "end": last.isoformat(),
        "locations": ",".join(map(str, DEVICES)),
    }
    if stream == "viewers_aggregated":
        query["group_by_demographics"] = "1"
    return list(vendor.rows(export_request.parse(query), time.time_ns() // 1_000_000))


def tenths_to_ms(value: int | None) -> int | None:
    return None if value is None else value * 100


def play_numbers(row: Row) -> tuple[Any, ...]:
    names = ("impressions", "play_count", "watchers", "watchers_2sec")
    return (round(row["content_duration"] * 1000), *(row[name] for name in names))


KEYS_AND_NUMBERS: Mapping[str, Callable[[Row], tuple[tuple[Any, ...], tuple[Any, ...]]]] = {
    "viewers_aggregated": lambda row: (
        (row["location_id"], row["period_start"], row["gender"], row["age"]),
        (
            row["watcher_count"],
            tenths_to_ms(row["dwell_time_in_tenths_of_sec"]),
            tenths_to_ms(row["attention_time_in_tenths_of_sec"]),
        ),
    ),
    "ots": lambda row: ((row["location_id"], row["period_start"]), (row["ots_count"], row["watcher_count"])),
    "gate": lambda row: (
        (row["location_id"], row["period_start"], row["gate_id"]),
        (row["in_count"], row["out_count"]),
    ),
    "proof_of_play_by_location": lambda row: (
        (row["location_id"], row["period_start"], row["content_id"]),
        play_numbers(row),
    ),
    "proof_of_play_by_site": lambda row: ((row["site_id"], row["period_start"], row["content_id"]), play_numbers(row)),
}
"""The key of a row and its numbers, in the units of the events."""
KEYS = {
    "viewers_aggregated": ("location_id", "period_start_local", "gender_code", "age_code"),
    "ots": ("location_id", "period_start_local"),
    "gate": ("location_id", "period_start_local", "gate_id"),
    "proof_of_play_by_location": ("location_id", "period_start_local", "content_id"),
    "proof_of_play_by_site": ("site_id", "period_start_local", "content_id"),
}
_PLAYS = ("content_duration_ms", "impressions", "play_count", "watchers", "watchers_over_2s")
NUMBERS = {
    "viewers_aggregated": ("watcher_count", "dwell_ms", "attention_ms"),
    "ots": ("ots_count", "watcher_count"),
    "gate": ("in_count", "out_count"),
    "proof_of_play_by_location": _PLAYS,
    "proof_of_play_by_site": _PLAYS,
}


def expected_numbers(vendor: VidiCenter, stream: str, since: datetime, end: datetime) -> Numbers:
    rows = (
        {**row, "period_start": row["period_start"].replace(" ", "T")} for row in exported(vendor, stream, since, end)
    )
    return dict(map(KEYS_AND_NUMBERS[stream], rows))


def published_numbers(messages: Sequence[Received], stream: str, end: datetime) -> Numbers:
    """The numbers of the latest revision of each record."""
    versions: dict[str, dict[str, Any]] = {}
    for each in messages:
        if each.topic.endswith(f"quividi.{stream}") and datetime.fromisoformat(each.value["period_start"]) < end:
            known = versions.get(each.value["record_id"])
            if known is None or known["revision"] < each.value["revision"]:
                versions[each.value["record_id"]] = each.value
    return {
        tuple(value[name] for name in KEYS[stream]): tuple(value[name] for name in NUMBERS[stream])
        for value in versions.values()
    }


def expected_contents(rows: Sequence[Row]) -> Counter[tuple[Any, ...]]:
    """How often each viewed content occurs in the rows of viewers_apc."""
    names = ("content_id", "campaign_id", "dwell_time_in_milliseconds", "attention_time_in_milliseconds")
    return Counter((row["location_id"], *(each[name] for name in names)) for row in rows for each in row["contents"])


def published_contents(messages: Sequence[Received], end: datetime) -> Counter[tuple[Any, ...]]:
    """The same of the published events."""
    names = ("location_id", "content_id", "campaign_id", "dwell_ms", "attention_ms")
    return Counter(
        tuple(each.value[name] for name in names)
        for each in messages
        if each.topic.endswith("viewer_contents") and datetime.fromisoformat(each.value["started_at"]) < end
    )


async def test_every_export_is_published_with_the_vendors_numbers_also_after_a_late_upload(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    start = floor_second(datetime.now(UTC))
    end = start - timedelta(minutes=1) - (start - timedelta(minutes=1) - datetime(2018, 1, 1, tzinfo=UTC)) % STEP
    since = end - 4 * STEP
    begun_ms = int(since.timestamp() * 1000)
    world = WorldWithOfflineBox(
        devices=DEVICES, rate=2000.0, pace=FAST, begun_ms=begun_ms, box=DEVICES[-1], upload=Upload()
    )
    rules = Rules(zone=ZONE, export_s=0.3, calls_per_minute=MAX_CALLS)
    async with (
        serving(world, host="127.0.0.1", port=0, rules=rules) as vendors,
        reading(kafka, [prefix + topic for topic in (*TOPICS, "collector.dead_letters")]) as reader,
    ):
        vendor = vendors.vendor(VidiCenter)
        tables = "".join(table("airport", stream) for stream in ("ots", "gate", "proof_of_play_by_location"))
        grouped = 'resolution = "5m"\ngroup_by_demographics = true'
        tables += table("airport", "viewers_aggregated", grouped) + table("airport", "viewers_apc", "")
        sources = source(vendors, "airport", f"locations = {list(DEVICES)}", since, tables)
        sources += source(vendors, "terminal", f"sites = [{SITE}]", since, table("terminal", "proof_of_play_by_site"))
        daemon = Replica(tmp_path, kafka, prefix, sources)

        async def is_published() -> bool:
            messages = await reader.poll()
            counted = all(
                expected_numbers(vendor, stream, since, end) == published_numbers(messages, stream, end)
                for stream in COUNTED
            )
            expected = expected_contents(exported(vendor, "viewers_apc", since, end))
            return counted and expected == published_contents(messages, end)

        try:
            daemon.start()
            await until(is_published, "all numbers without the offline box are published")
            daemon.kill()
            before = {stream: expected_numbers(vendor, stream, since, end) for stream in COUNTED}
            world.upload.at_ms = time.time_ns() // 1_000_000
            assert all(before[stream] != expected_numbers(vendor, stream, since, end) for stream in COUNTED)
            daemon.start()
            await until(is_published, "all numbers with the uploaded records are published")
            daemon.stop()
        finally:
            daemon.close()
        messages = await read_all(reader)
    assert_valid(messages)
    assert len(messages) == len({each.id for each in messages})
    assert [] == [each.value for each in messages if each.topic.endswith("dead_letters")]
    revisions: dict[tuple[str, str], list[int]] = {}
    for each in messages:
        if "revision" in each.value:
            revisions.setdefault((each.topic, each.value["record_id"]), []).append(each.value["revision"])
    assert all(list(range(len(numbers))) == numbers for numbers in revisions.values())
    box = str(world.box)
    late = [
        numbers for (topic, name), numbers in revisions.items() if topic.endswith(".ots") and name.split("/")[3] == box
    ]
    assert 4 == sum(len(numbers) > 1 for numbers in late[:4])


def assert_valid(messages: Sequence[Received]) -> None:
    """Each value is valid against the JSON schema of its type."""
    schemas = {name: Draft202012Validator(json_schema(kind)) for name, kind in event_types().items()}
    for each in messages:
        schemas[each.headers["ce_type"]].validate(each.value)
