"""Two simulated days as messages: sessions with revisions and parts, viewers, OTS, devices, places and progress."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from collector.cloudevents import Message
from collector.model import Account, DedupMode, Event, Record
from collector.pipeline.message import Origin, event_message, progress_message, record_digest
from collector.schemas import event_types, json_schema
from collector.simulator.base import Simulation
from collector.simulator.seemetrix import _session
from collector.simulator.vidicenter import VidiCenter
from collector.simulator.world import Visit, World
from collector.vendors.quividi.events import explode_viewer
from collector.vendors.quividi.viewers import read_viewer
from collector.vendors.seemetrix import wire as seemetrix
from collector.vendors.seemetrix.events import explode_session

USER, USERNAME = 371, "airport"
SESSIONS = Origin(Account("seemetrix", str(USER)), "mall", "sessions")
VIEWERS = Origin(Account("quividi", USERNAME), "airport", "viewers")
WORLD = World(rate=20, devices=(3024, 3035, 5315))
FIRST = datetime(2026, 10, 24, tzinfo=UTC)
"""The night of the second day is the end of summer time."""
LAST = FIRST + timedelta(days=2)
FINAL = datetime(2026, 10, 25, 7, 40, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Paris")
RENAMED_AT = FIRST + timedelta(hours=30)
Value = dict[str, Any]
_VENDOR = VidiCenter(Simulation(WORLD, lambda: round(LAST.timestamp() * 1000)))


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def visits() -> list[Visit]:
    """The visits that start in the two days."""
    first_ms, last_ms = _ms(FIRST), _ms(LAST)
    return [each for each in WORLD.all_between(first_ms, last_ms) if first_ms <= each.start_ms < last_ms]


def session_rows(visit: Visit, index: int) -> list[Mapping[str, Any]]:
    """The revisions of a session. The second one of every tenth has one interval of attention, none, or no list."""
    row: dict[str, Any] = dict(_session(visit))
    if index % 10:
        return [row]
    return [row, row | {"s": 1, "at": (row["at"][:1], [], None)[index // 10 % 3]}]


def sessions() -> Iterator[Value]:
    """The values of sessions and their attention intervals."""
    for index, visit in enumerate(visits()):
        for revision, row in enumerate(session_rows(visit, index)):
            record = seemetrix.read_session(msgspec.json.encode(row))
            assert isinstance(record, Record)
            digest = record_digest(DedupMode.VERSIONED, record, revision, SESSIONS.account)
            for event in explode_session(record, digest, revision, USER):
                yield _value(event_message(event, SESSIONS))


def viewer_rows_of(visit: Visit) -> Sequence[Mapping[str, Any]]:
    """The rows that the vendor exports for a visit."""
    return _VENDOR.viewers(visit)


def viewer_rows() -> list[Mapping[str, Any]]:
    return [row for visit in visits() for row in viewer_rows_of(visit)]


def viewers() -> Iterator[Value]:
    for number, row in enumerate(viewer_rows()):
        record = read_viewer(msgspec.json.encode(row), ZONE)
        assert isinstance(record, Record)
        digest = record_digest(DedupMode.MULTISET, record, number, VIEWERS.account)
        for event in explode_viewer(record, digest, number, USERNAME):
            yield _value(event_message(event, VIEWERS))


def devices() -> Iterator[Value]:
    """Each device; the first one gets another name after 30 hours, and was first seen after six."""
    for device in WORLD.devices:
        yield _changed("seemetrix.device.v1", _device(device, 0, FIRST + timedelta(hours=6), f"Device {device}"))
    yield _changed("seemetrix.device.v1", _device(WORLD.devices[0], 1, RENAMED_AT, "Renamed"))


def _device(device: int, revision: int, seen_at: datetime, name: str) -> Value:
    return {
        "record_id": f"seemetrix/{USER}/device/{device}",
        "revision": revision,
        "device_id": device,
        "seen_at": f"{seen_at:%Y-%m-%dT%H:%M:%S}.000Z",
        "name": name,
    }


def ots_counts() -> list[tuple[int, int | None, int | None]]:
    """The hour, the OTS and the watchers of each hour. Some are not known."""
    random = Random(1)
    pairs = ((random.randrange(20, 90), random.randrange(20)) for _ in range(48))
    return [
        (hour, None if hour % 7 == 3 else ots, None if hour % 7 > 2 else count)
        for hour, (ots, count) in enumerate(pairs)
    ]


def ots() -> Iterator[Value]:
    for hour, ots_count, watcher_count in ots_counts():
        start = FIRST + timedelta(hours=hour)
        yield _changed(
            "quividi.ots.v1",
            {
                "record_id": f"quividi/airport/ots/3024/{hour}",
                "location_id": 3024,
                "resolution": "1h",
                "period_start": f"{start:%Y-%m-%dT%H:%M:%S}.000Z",
                "period_start_local": f"{start.astimezone(ZONE):%Y-%m-%dT%H:%M:%S}",
                "ots_count": ots_count,
                "watcher_count": watcher_count,
            },
        )


def places() -> Iterator[Value]:
    """Each location, and two sites. The first location gets another name and site; the last one is on no list."""
    for device in WORLD.devices[:-1]:
        yield _changed("quividi.location.v1", _location(device, 0, f"Location {device}", 300))
    yield _changed("quividi.location.v1", _location(WORLD.devices[0], 1, "Moved", 301))
    for site in (300, 301):
        change = {"record_id": f"quividi/{USERNAME}/site/{site}", "site_id": site, "label": f"Site {site}"}
        yield _changed("quividi.site.v1", change)


def _location(location: int, revision: int, label: str, site: int) -> Value:
    return {
        "record_id": f"quividi/{USERNAME}/location/{location}",
        "revision": revision,
        "location_id": location,
        "label": label,
        "site_id": site,
    }


def progress() -> Iterator[Value]:
    for origin in (SESSIONS, VIEWERS):
        for final in (FIRST, FINAL):
            yield _value(progress_message(LAST, final, "live", origin, final + timedelta(days=1)))


def _changed(name: str, change: Value) -> Value:
    """The message of the type's example with some other fields."""
    event_type = event_types()[name]
    example = json_schema(event_type)["examples"][0] | change
    data = msgspec.convert({field: example[field] for field in event_type.data.__struct_fields__}, event_type.data)
    event = Event(event_type, f"{example['record_id']}/{example['revision']}", "subject", "time", "key", data)
    origin = SESSIONS if name.startswith("seemetrix") else VIEWERS
    return _value(event_message(event, origin))


def _value(message: Message) -> Value:
    value: Value = json.loads(message.value)
    return value


def by_type() -> dict[str, Sequence[Value]]:
    """All values, by type and in random order: of single topics, and of single keys, none is reliable across files."""
    found: dict[str, list[Value]] = {}
    for value in (*sessions(), *viewers(), *devices(), *ots(), *places(), *progress()):
        found.setdefault(value["type"], []).append(value)
    for values in found.values():
        Random(1).shuffle(values)
    return dict(found)
