"""A release that changes the lists of fields of all streams parks no stream, and publishes no event twice."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.instants import floor_second
from collector.kafka.restore import snapshot
from collector.kafka.settings import KafkaSettings
from collector.pipeline.state import by_stream
from collector.simulator import vidicenter
from collector.simulator.rules import Rules
from collector.simulator.server import Simulated, serving
from collector.simulator.world import FAST, Visit, World
from tests.kafka.daemon import EVENTS, Received, reading, until
from tests.kafka.scenario import DEVICES, MAX_CALLS, ZONE, Replica, read_all, seemetrix_table, visits
from tests.kafka.test_exports import COUNTED, SITE, Upload
from tests.kafka.test_seemetrix_streams import TOPICS as SEEMETRIX_TOPICS
from tests.pipeline.stream_cases import STREAM_CASES

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

TOPICS = (
    *EVENTS,
    *SEEMETRIX_TOPICS,
    *(f"quividi.{name}" for name in ("viewers", "viewers_apc", "viewer_contents", *COUNTED)),
)
SNAPSHOTS = ("devices", "counters")
WITHOUT_EMPTY_ROWS = ("sessions", "viewers", "viewers_apc", "statistics")
"""Streams that have no rows for periods without visits."""
TIMING = 'interval = "2s"\nsettle = "2s"\nallowed_lateness = "12h"\nsweep_every = "4s"\n'
NEXT_RELEASE = (str(Path(__file__).with_name("next_release.py")),)


class LateWorld(World, frozen=True, dict=True):
    """A world in which one box uploads all its visits late; the other boxes have visits in the second half only."""

    box: int = DEVICES[-1]
    begun_ms: int = 0
    middle_ms: int = 0
    upload: Upload = Upload()

    def between(self, device: int, first_ms: int, last_ms: int) -> Iterator[Visit]:
        for visit in World.between(self, device, max(first_ms, self.begun_ms), last_ms):
            if device == self.box:
                uploaded = max(visit.uploaded_ms, self.upload.at_ms)
                yield msgspec.structs.replace(
                    visit, uploaded_ms=uploaded, box_uploaded_ms=max(visit.box_uploaded_ms, self.upload.at_ms)
                )
            elif visit.start_ms >= self.middle_ms:
                yield visit


def late_world(start: datetime, now: datetime) -> LateWorld:
    """A world with many visits in this period, at any time of day."""
    begun_ms, now_ms = (int(each.timestamp() * 1000) for each in (start, now))
    for doublings in range(16):
        middle_ms = (begun_ms + now_ms) // 2
        world = LateWorld(
            devices=DEVICES,
            rate=20.0 * 2**doublings,
            pace=FAST,
            begun_ms=begun_ms,
            middle_ms=middle_ms,
            upload=Upload(),
        )
        if len(visits(world, begun_ms, now_ms)) > 400:
            return world
    raise AssertionError("no rate makes the world busy enough")


def sources(vendors: Simulated, since: datetime) -> str:
    def table(source: str, stream: str, keys: str = "") -> str:
        return f"[sources.{source}.streams.{stream}]\n{keys}{TIMING}"

    exports = ("ots", "gate", "proof_of_play_by_location", "viewers_aggregated")
    by_location = "".join(table("airport", stream, 'resolution = "5m"\n') for stream in exports)
    quividi = f"""
vendor = "quividi"
base_url = "{vendors.url("quividi")}"
username = "{vidicenter.USERNAME}"
token = "{vidicenter.TOKEN}"
timezone = "{ZONE}"
since = {since.isoformat()}
max_requests_per_minute = {MAX_CALLS}
"""
    return f"""{seemetrix_table(vendors, since)}[sources.mall.streams.devices]
interval = "1s"
[sources.mall.streams.counters]
interval = "1s"
{table("mall", "sessions")}
{table("mall", "statistics")}
{table("mall", "breakdown", 'levels = ["devices", "genders"]' + chr(10) + 'resolution = "1h"' + chr(10))}
[sources.airport]
{quividi}
locations = {list(DEVICES)}
{table("airport", "viewers")}
{table("airport", "viewers_apc")}
{by_location}
[sources.terminal]
{quividi}
sites = [{SITE}]
{table("terminal", "proof_of_play_by_site", 'resolution = "5m"' + chr(10))}
"""


async def rows(daemon: Replica) -> list[dict[str, Any]]:
    """The status of all streams; empty if the daemon does not respond."""
    code, body = await daemon.get("/api/status")
    found: list[dict[str, Any]] = json.loads(body)["streams"] if code == 200 else []
    return found


CURRENT = {name.partition(".")[2]: case.fields_version for name, case in STREAM_CASES.items()}
"""The version of the lists of fields in this release, by stream."""


async def versions(kafka: str, prefix: str) -> dict[str, Counter[int]]:
    """How many chunks of ledger pages have each version of the lists of fields, by stream.

    Version 1 is that of this release, and 2 that of the next one.
    """
    settings = KafkaSettings(bootstrap_servers=kafka, topic_prefix=prefix, state_partitions=4)
    pairs = by_stream(await snapshot(settings, range(4), lambda *_: None))
    return {
        name: Counter(value[1] - CURRENT[name] + 1 for key, value in of_stream.items() if key)
        for name, of_stream in ((prefix.rpartition("/")[2], of_stream) for prefix, of_stream in pairs.items())
    }


def contents(messages: Sequence[Received], before: datetime) -> Counter[str]:
    """The latest revisions of all records that ended before an instant, without ids and numbers."""
    latest: dict[tuple[str, str], Received] = {}
    others = []
    for each in messages:
        if "revision" in each.value:
            name = each.headers["ce_type"], f"{each.value['record_id']}/{each.value.get('position')}"
            latest[name] = max(latest.get(name, each), each, key=lambda one: int(one.value["revision"]))
        else:
            others.append(each)
    return Counter(
        json.dumps({name: field for name, field in each.value.items() if name not in IDS_AND_NUMBERS}, sort_keys=True)
        for each in (*latest.values(), *others)
        if (end := each.value.get("period_end", each.value.get("ended_at"))) and datetime.fromisoformat(end) < before
    )


IDS_AND_NUMBERS = ("event_id", "session_event_id", "viewer_event_id", "record_id", "revision", "occurrence")


async def test_an_upgrade_that_changes_all_lists_publishes_nothing_twice_and_parks_nothing(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    now = floor_second(datetime.now(UTC))
    since = now - timedelta(hours=5)
    world = late_world(since, now)
    rules = Rules(zone=ZONE, export_s=0.2, calls_per_minute=MAX_CALLS)
    async with (
        serving(world, host="127.0.0.1", port=0, rules=rules) as vendors,
        reading(kafka, [prefix + topic for topic in TOPICS]) as reader,
        reading(kafka, [f"{prefix}new-{topic}" for topic in TOPICS]) as other_reader,
    ):
        daemon = Replica(tmp_path, kafka, prefix, sources(vendors, since))
        other = Replica(tmp_path, kafka, f"{prefix}new-", sources(vendors, since))
        other.program = NEXT_RELEASE

        async def has_duplicates() -> bool:
            """Whether each stream is live, and has recognized records that it had published before."""
            found = await rows(daemon)
            return len(found) == 12 and all(
                row["state"] == "live" and row["counts"]["records"].get("duplicate") for row in found
            )

        async def all_published() -> bool:
            """Whether the events equal those of a deployment without a state, which starts only now."""
            expected = contents(await other_reader.poll(), uploaded)
            return len(expected) > 1000 and expected == contents(await reader.poll(), uploaded)

        async def are_parked() -> bool:
            states = {row["stream"]: row["state"] for row in await rows(daemon)}
            return bool(states) and {"parked"} == {states[name] for name in SNAPSHOTS}

        try:
            daemon.start()
            await until(has_duplicates, "the first release has published all records")
            daemon.kill()
            before = await versions(kafka, prefix)
            daemon.program = NEXT_RELEASE
            daemon.start()
            await until(has_duplicates, "the next release recognizes them")
            world.upload.at_ms = time.time_ns() // 1_000_000
            uploaded = datetime.now(UTC)
            other.start()
            await until(all_published, "the records that were uploaded after the upgrade are published")
            daemon.kill()
            daemon.start()
            await until(has_duplicates, "the next release recognizes its own records")
            daemon.stop()
            after = await versions(kafka, prefix)
            log = daemon.log.read_text("utf-8")
            del daemon.program
            daemon.start()
            await until(are_parked, "the first release parks the streams whose state the next one wrote")
            daemon.stop()
        finally:
            daemon.close()
            other.close()
        messages = await read_all(reader)
    assert "stream_parked" not in log
    assert "Traceback" not in log
    assert_pages_keep_their_version(before, after)
    assert_nothing_is_published_twice(messages)


def assert_pages_keep_their_version(before: dict[str, Counter[int]], after: dict[str, Counter[int]]) -> None:
    assert 12 == len(before) == len(after)
    assert {1} == {version for each in before.values() for version in each}
    assert {"devices": {2}, "counters": {2}} == {name: set(after[name]) for name in SNAPSHOTS}, (
        "the pages of snapshots are rewritten"
    )
    assert {(1, 2)} == {tuple(sorted(after[name])) for name in WITHOUT_EMPTY_ROWS}, "pages of both versions exist"
    assert all(1 in after[name] for name in COUNTED), "pages that were written before the upgrade keep their version"


def assert_nothing_is_published_twice(messages: Sequence[Received]) -> None:
    """No id and no content is published twice, and the numbers of revisions have no gaps."""
    assert 1 == max(Counter(each.id for each in messages).values())
    whole = Counter(
        json.dumps({name: field for name, field in each.value.items() if not name.endswith("event_id")}, sort_keys=True)
        for each in messages
        if "position" not in each.value  # parts of twins have equal contents
    )
    assert 1 == max(whole.values())
    revisions: dict[tuple[str, str], list[int]] = {}
    for each in messages:
        if "revision" in each.value and "position" not in each.value:
            name = each.headers["ce_type"], each.value["record_id"]
            revisions.setdefault(name, []).append(each.value["revision"])
    assert all(list(range(len(numbers))) == numbers for numbers in revisions.values())
    assert max(map(len, revisions.values())) > 1
