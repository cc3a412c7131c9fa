"""A daemon is replaced by one whose lists of fields have changed: no stream is parked, and no event comes twice."""

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
from collector.simulator import seemetrix, vidicenter
from collector.simulator.server import Simulated, serving
from collector.simulator.vidicenter import Rules
from collector.simulator.world import FAST, Visit, World
from tests.kafka.daemon import EVENTS, Received, reading, until
from tests.kafka.scenario import DEVICES, MAX_CALLS, ZONE, Replica, read_all, visits
from tests.kafka.test_exports import COUNTED, SITE, Upload
from tests.kafka.test_seemetrix_streams import TOPICS as KINDS

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

TOPICS = (*EVENTS, *KINDS, *(f"quividi.{name}" for name in ("viewers", "viewers_apc", "viewer_contents", *COUNTED)))
SNAPSHOTS = ("devices", "counters")
LATER = ("sessions", "viewers", "viewers_apc", "statistics", "breakdown")
"""Of these there is nothing where nothing was seen."""
PACE = 'interval = "2s"\nsettle = "2s"\nallowed_lateness = "12h"\nsweep_every = "4s"\n'
UPGRADED = (str(Path(__file__).with_name("next_release.py")),)


class Growing(World, frozen=True, dict=True):
    """Nothing is known of the first half until one box uploads it, and what it saw in the second half."""

    box: int = DEVICES[-1]
    begun_ms: int = 0
    middle_ms: int = 0
    upload: Upload = Upload()

    def between(self, device: int, first_ms: int, last_ms: int) -> Iterator[Visit]:
        for visit in World.between(self, device, max(first_ms, self.begun_ms), last_ms):
            if device == self.box:
                uploaded = max(visit.uploaded_ms, self.upload.at_ms)
                yield msgspec.structs.replace(
                    visit, uploaded_ms=uploaded, boxed_ms=max(visit.boxed_ms, self.upload.at_ms)
                )
            elif visit.begin_ms >= self.middle_ms:
                yield visit


def growing(begun: datetime, now: datetime) -> Growing:
    """One that is busy, by day and by night."""
    begun_ms, now_ms = (int(each.timestamp() * 1000) for each in (begun, now))
    for doublings in range(16):
        middle_ms = (begun_ms + now_ms) // 2
        world = Growing(
            devices=DEVICES,
            rate=20.0 * 2**doublings,
            pace=FAST,
            begun_ms=begun_ms,
            middle_ms=middle_ms,
            upload=Upload(),
        )
        if len(visits(world, begun_ms, now_ms)) > 400:
            return world
    raise AssertionError("no world is busy enough")


def sources(vendors: Simulated, since: datetime) -> str:
    def table(source: str, stream: str, keys: str = "") -> str:
        return f"[sources.{source}.streams.{stream}]\n{keys}{PACE}"

    exports = ("ots", "gate", "proof_of_play_by_location", "viewers_aggregated")
    by_location = "".join(table("airport", stream, 'resolution = "5m"\n') for stream in exports)
    quividi = f"""
vendor = "quividi"
base_url = "{vendors.quividi_url}"
username = "{vidicenter.USERNAME}"
token = "{vidicenter.TOKEN}"
timezone = "{ZONE}"
since = {since.isoformat()}
max_requests_per_minute = {MAX_CALLS}
"""
    return f"""
[sources.mall]
vendor = "seemetrix"
base_url = "{vendors.seemetrix_url}"
user_id = {seemetrix.USER}
user_key = "{seemetrix.KEY}"
since = {since.isoformat()}
[sources.mall.streams.devices]
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
    code, body = await daemon.get("/api/status")
    found: list[dict[str, Any]] = json.loads(body)["streams"] if code == 200 else []
    return found


async def versions(kafka: str, prefix: str) -> dict[str, Counter[int]]:
    """Of the lists of fields, by stream: how many chunks of its pages."""
    settings = KafkaSettings(bootstrap_servers=kafka, topic_prefix=prefix, state_partitions=4)
    pairs = by_stream(await snapshot(settings, range(4), lambda *_: None))
    return {
        name.rpartition("/")[2]: Counter(value[1] for place, value in of_stream.items() if place)
        for name, of_stream in pairs.items()
    }


def contents(told: Sequence[Received], before: datetime) -> Counter[str]:
    """What the newest revisions say of what had ended before an instant, without what counts and names them."""
    newest: dict[tuple[str, str], Received] = {}
    others = []
    for each in told:
        if "revision" in each.value:
            name = each.headers["ce_type"], each.value["record_id"]
            newest[name] = max(newest.get(name, each), each, key=lambda one: int(one.value["revision"]))
        else:
            others.append(each)
    return Counter(
        json.dumps({name: field for name, field in each.value.items() if name not in NAMES}, sort_keys=True)
        for each in (*newest.values(), *others)
        if (end := each.value.get("period_end", each.value.get("end"))) and datetime.fromisoformat(end) < before
    )


NAMES = ("event_id", "session_event_id", "viewer_event_id", "record_id", "revision", "occurrence")


async def test_an_upgrade_that_changes_every_list_publishes_nothing_twice_and_parks_nothing(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    now = floor_second(datetime.now(UTC))
    since = now - timedelta(hours=5)
    world = growing(since, now)
    rules = Rules(zone=ZONE, export_s=0.2, calls_per_minute=MAX_CALLS)
    async with (
        serving(world, host="127.0.0.1", port=0, rules=rules) as vendors,
        reading(kafka, [prefix + topic for topic in TOPICS]) as reader,
        reading(kafka, [f"{prefix}new-{topic}" for topic in TOPICS]) as other_reader,
    ):
        daemon = Replica(tmp_path, kafka, prefix, sources(vendors, since))
        other = Replica(tmp_path, kafka, f"{prefix}new-", sources(vendors, since))
        other.program = UPGRADED

        async def recognised() -> bool:
            """Each stream goes on, and saw what it had published before."""
            found = await rows(daemon)
            return len(found) == 12 and all(
                row["state"] == "live" and row["counts"]["records"].get("duplicate") for row in found
            )

        async def all_there() -> bool:
            """What a deployment publishes that begins only now."""
            expected = contents(await other_reader.poll(), uploaded)
            return len(expected) > 1000 and expected == contents(await reader.poll(), uploaded)

        async def refused() -> bool:
            states = {row["stream"]: row["state"] for row in await rows(daemon)}
            return bool(states) and {"parked"} == {states[name] for name in SNAPSHOTS}

        try:
            daemon.start()
            await until(recognised, "the first release has published all that is known")
            daemon.kill()
            before = await versions(kafka, prefix)
            daemon.program = UPGRADED
            daemon.start()
            await until(recognised, "the next release recognises all of it")
            world.upload.at_ms = time.time_ns() // 1_000_000
            uploaded = datetime.now(UTC)
            other.start()
            await until(all_there, "what became known after the upgrade is published")
            daemon.kill()
            daemon.start()
            await until(recognised, "the next release recognises its own")
            daemon.stop()
            after = await versions(kafka, prefix)
            log = daemon.log.read_text("utf-8")
            del daemon.program
            daemon.start()
            await until(refused, "the first release does not touch what the next one wrote")
            daemon.stop()
        finally:
            daemon.close()
            other.close()
        told = await read_all(reader)
    assert "stream_parked" not in log
    assert "Traceback" not in log
    assert_pages_keep_their_version(before, after)
    assert_nothing_comes_twice(told)


def assert_pages_keep_their_version(before: dict[str, Counter[int]], after: dict[str, Counter[int]]) -> None:
    assert 12 == len(before) == len(after)
    assert {1} == {version for each in before.values() for version in each}
    assert {"devices": {2}, "counters": {2}} == {name: set(after[name]) for name in SNAPSHOTS}, "carried over"
    assert {(1, 2)} == {tuple(sorted(after[name])) for name in LATER}, "pages are new or old"
    assert all(1 in after[name] for name in COUNTED), "they have rows also where nothing was seen: pages are old"


def assert_nothing_comes_twice(told: Sequence[Received]) -> None:
    """Neither by its id nor by what it says; and revisions are counted without a gap."""
    assert 1 == max(Counter(each.id for each in told).values())
    whole = Counter(
        json.dumps({name: field for name, field in each.value.items() if not name.endswith("event_id")}, sort_keys=True)
        for each in told
        if "record_id" in each.value  # the parts of twins say the same
    )
    assert 1 == max(whole.values())
    revisions: dict[tuple[str, str], list[int]] = {}
    for each in told:
        if "revision" in each.value:
            name = each.headers["ce_type"], each.value["record_id"]
            revisions.setdefault(name, []).append(each.value["revision"])
    assert all(list(range(len(numbers))) == numbers for numbers in revisions.values())
    assert max(map(len, revisions.values())) > 1
