"""Visitors in retail analytics: one event for the visitor, and one for each visit, clip and passage."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import Account, DedupMode, Record, Reject, Window
from collector.pipeline.batch import Context, batches
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import Ledger
from collector.pipeline.message import Origin
from collector.pipeline.page import chunks_by_page
from collector.vendors.quividi.retail import MAX_TIMINGS
from collector.vendors.quividi.rows import Rows, finest_rows
from tests.rows import without_steps
from tests.vendors.quividi.example import ABSENT, PARIS
from tests.vendors.quividi.finest import BARE_VISITOR, DIGEST, VISITOR, Row, events, raw, read, record, value, values

STREAM = "retail_analytics_footfall"
DAY = Window(datetime(2026, 1, 14, tzinfo=UTC), datetime(2026, 1, 15, tzinfo=UTC))
CONTEXT = Context(
    DedupMode.MULTISET, Origin(Account("quividi", "acme"), "mall", STREAM), DAY, DAY.end, DAY.start, is_live=True
)
CALENDAR = datetime.min, datetime.max  # noqa: DTZ901 - local times
VISITOR_ID = "quividi/acme/retail_visitor/5120/2026-01-14T17:41:09/15600/0"


def test_a_visitor_has_the_fields_of_footfall_and_counts() -> None:
    person = {name: each for name, each in VISITOR.items() if name not in ("nb_visits", "nb_clips", "nb_doorpass")}
    expected = value("footfall", person) | {
        "record_id": VISITOR_ID,
        "visit_count": 2,
        "clip_count": 1,
        "door_pass_count": 1,
    }
    assert expected == value(STREAM, VISITOR)


def test_the_events_of_a_visitor() -> None:
    assert [
        ("quividi.retail_visitors", f"{DIGEST}/retail_visitor/0", f"location/5120/retail_visitor/{DIGEST}"),
        ("quividi.retail_visits", f"{DIGEST}/retail_visit/0", f"location/5120/retail_visitor/{DIGEST}/visit/0"),
        ("quividi.retail_visits", f"{DIGEST}/retail_visit/1", f"location/5120/retail_visitor/{DIGEST}/visit/1"),
        ("quividi.retail_clips", f"{DIGEST}/retail_clip/2", f"location/5120/retail_visitor/{DIGEST}/clip/2"),
        (
            "quividi.retail_door_passes",
            f"{DIGEST}/retail_door_pass/3",
            f"location/5120/retail_visitor/{DIGEST}/door_pass/3",
        ),
    ] == [(event.type.topic, event.id, event.subject) for event in events(STREAM, VISITOR)]


def test_a_visit_starts_milliseconds_after_its_visitor() -> None:
    assert {
        "record_id": VISITOR_ID,
        "visitor_event_id": f"{DIGEST}/retail_visitor/0",
        "location_id": 5120,
        "zone_id": 12,
        "zone_name": "Shelf",
        "position": 1,
        "started_at": "2026-01-14T16:41:15.100Z",
        "started_local": "2026-01-14T17:41:09",
        "utc_offset_s": 3600,
        "ambiguous": False,
        "ended_at": "2026-01-14T16:41:24.100Z",
        "duration_ms": 9000,
    } == values(STREAM, VISITOR)[2]
    assert "2026-01-14T16:41:15.100Z" == events(STREAM, VISITOR)[2].time


def test_a_row_without_clips_and_doors_lacks_the_keys() -> None:
    visitor, visit = values(STREAM, BARE_VISITOR)

    assert (1, None, None) == (visitor["visit_count"], visitor["clip_count"], visitor["door_pass_count"])
    assert (9, 0) == (visit["zone_id"], visit["position"])


@pytest.mark.parametrize("lists", [{"visits": ABSENT}, {"visits": None}, {"visits": []}])
def test_a_visitor_may_have_been_in_no_zone(lists: dict[str, object]) -> None:
    assert 1 == len(values(STREAM, BARE_VISITOR, **lists))


@pytest.mark.parametrize(("given", "expected"), [(1.0, 1), (2, 2), (0.0, 0), (None, None)])
def test_counts_are_integers(given: float | None, expected: int | None) -> None:
    got = value(STREAM, BARE_VISITOR, nb_visits=given)["visit_count"]

    assert (expected, type(expected)) == (got, type(got))


def test_a_count_with_a_fraction_is_null_and_counted() -> None:
    ignored = Counter[str]()
    record(STREAM, VISITOR, PARIS, ignored, nb_clips=1.5)

    assert {"nb_clips": 1} == ignored
    assert value(STREAM, VISITOR, nb_clips=1.5)["clip_count"] is None


def visits(*timings: tuple[int, object], name: object = "Till") -> list[Row]:
    """The visits of zones that start at these milliseconds."""
    return [{"id": zone, "name": name, "timings": [{"start": start, "duration": 700}]} for zone, start in timings]


@pytest.mark.parametrize("name", [ABSENT, None, "", {}, 1e999])
def test_a_zone_may_have_no_name(name: object) -> None:
    zones = [{key: each for key, each in zone.items() if each is not ABSENT} for zone in visits((9, 0), name=name)]
    row = msgspec.json.decode(raw(BARE_VISITOR, visits=[])) | {"visits": zones}

    assert values(STREAM, row)[1]["zone_name"] is None


@pytest.mark.parametrize(
    "zones",
    [
        {},
        "none",
        [{"name": "Till", "timings": []}],
        [{"id": 9, "timings": [{"start": 1}]}],
        [{"id": 9, "timings": [{"start": None, "duration": 1}]}],
        visits((9, -1)),
        visits((9, 1e300)),
        visits((9, "soon")),
    ],
    ids=str,
)
def test_a_visitor_with_malformed_timings_is_rejected(zones: object) -> None:
    got = read(STREAM, raw(BARE_VISITOR, visits=zones))

    assert isinstance(got, Reject)
    assert "visits" in got.error


def test_timings_are_bounded() -> None:
    def of(count: int) -> Any:  # noqa: ANN401
        timings = [{"start": each, "duration": 1} for each in range(count // 2)]
        zones = [{"id": 9, "timings": timings}]
        return read(STREAM, raw(BARE_VISITOR, visits=zones, clips=zones))

    assert MAX_TIMINGS == len(of(MAX_TIMINGS).parts)
    assert isinstance(of(MAX_TIMINGS + 2), Reject)


@pytest.mark.parametrize(("start", "expected"), [(5_000_000, Record), (9_000_000, Reject)])
def test_a_timing_beyond_the_calendar_is_rejected(start: int, expected: type) -> None:
    last = {"period_start": "9999-12-31T23:00:00", "footfall_presence_time": 1}

    assert isinstance(read(STREAM, raw(BARE_VISITOR, **last, visits=visits((9, start)))), expected)


class CommittingStream:
    """A stream that commits every response."""

    def __init__(self) -> None:
        self._rows: Rows[Any] = finest_rows(STREAM, PARIS)
        self._ledger = Ledger(DedupMode.MULTISET)

    def publish(self, *rows: bytes) -> list[dict[str, Any]]:
        """The published values of the events of one response."""
        deduplicator: Deduplicator[Any] = Deduplicator.without_limits(self._ledger, requested_s=0)
        deduplicator.add(self._rows.read(rows, *CALENDAR))
        found: list[dict[str, Any]] = []
        explode = partial(self._rows.explode, user="acme")
        for batch in without_steps(batches(deduplicator, explode, CONTEXT, self._rows.only_parts)):
            found += [msgspec.json.decode(message.value) for message in batch.messages]
            for page, chunk in chunks_by_page(batch.entries).items():
                self._ledger.add(page, chunk)
        return found


def visitor(*timings: tuple[int, int], **changes: object) -> bytes:
    return raw(BARE_VISITOR, visits=visits(*timings), **changes)


def positions(found: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(each["zone_id"], each["position"]) for each in found if "zone_id" in each]


def test_a_visit_that_comes_later_is_published_once_and_belongs_to_its_visitor() -> None:
    stream = CommittingStream()
    first = stream.publish(visitor((9, 100)))
    later = stream.publish(visitor((3, 50), (9, 100)))

    assert ([(9, 0)], [(3, 1)]) == (positions(first), positions(later))
    assert 1 == len(later), "the visitor is not published again"
    assert first[0]["event_id"] == later[0]["visitor_event_id"]
    assert [] == stream.publish(visitor((9, 100), (3, 50)))


def test_a_clip_that_comes_later_is_published() -> None:
    stream = CommittingStream()
    stream.publish(visitor((9, 100)))
    [later] = stream.publish(visitor((9, 100), clips=visits((9, 100)), nb_clips=1.0))

    assert ("quividi.retail_clip.v1", 1) == (later["type"], later["position"])


@pytest.mark.parametrize(
    "changes",
    [
        {"visits": visits((9, 100), name="Cash desk")},
        {"visits": [{"id": 9, "timings": [{"start": 100, "duration": 9999}]}]},
        {"nb_visits": 7.0},
        {"watcher_id": 5, "watcher_start": "2026-01-14T17:41:10"},
        {"vr_id": ABSENT},
    ],
    ids=str,
)
def test_other_changes_are_not_published(changes: dict[str, object]) -> None:
    stream = CommittingStream()
    stream.publish(visitor((9, 100)))

    assert [] == stream.publish(raw(BARE_VISITOR, **({"visits": visits((9, 100))} | changes)))


def test_a_link_that_comes_later_does_not_hide_a_new_equal_row() -> None:
    for stream, row in (("footfall", BARE_VISITOR), (STREAM, BARE_VISITOR | {"visits": []})):
        one = CommittingStream()
        one._rows = finest_rows(stream, PARIS)
        for number in range(8):
            known = [
                raw(row, vr_id=each, watcher_id=each + 90, watcher_start=row["period_start"]) for each in range(number)
            ]
            [new] = one.publish(*known, raw(row, vr_id=number))
            assert str(number) == new["vr_id"]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.randoms(use_true_random=False)), max_size=12))
def test_every_visit_of_growing_visitors_is_published_exactly_once(steps: list[tuple[int, int, Any]]) -> None:
    """Visitors 0 and 1 are equal but for their visits, visitor 2 is another one."""
    stream, shown = CommittingStream(), dict[int, list[tuple[int, int]]]()
    found: list[dict[str, Any]] = []
    for who, start, random in steps:
        shown.setdefault(who, []).append((who, start))
        rows = [visitor(*timings, footfall_presence_time=30 + (each == 2)) for each, timings in shown.items()]
        found += stream.publish(*random.sample(rows, len(rows)))

    assert len(found) == len({each["event_id"] for each in found})
    assert len(shown) == sum("visit_count" in each for each in found)
    assert sum(map(len, shown.values())) == sum("zone_id" in each for each in found)
