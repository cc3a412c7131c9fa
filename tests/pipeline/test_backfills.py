"""Requests for older data, and what completed ones have published, are records of the state topic."""

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec import structs

from collector.errors import UnreadableState
from collector.instants import unix_s
from collector.model import Account, Backfill, Window, backfill_name, published_name
from collector.pipeline.backfills import (
    backfill_key,
    completed,
    encode_backfill,
    encode_history,
    history_key,
    history_of,
    history_zones,
    in_other_zones,
    neighbour_start,
    next_published,
    requests_of,
)
from collector.pipeline.shards import whole_prefix
from collector.pipeline.state import by_stream, stream_prefix
from collector.pipeline.state_records import unnamed_keys
from tests.simulated import START

PREFIX = "seemetrix/864/mall/sessions"
PARIS, NEW_YORK = "Europe/Paris", "America/New_York"


def day(number: int) -> datetime:
    return datetime(2026, 3, number, tzinfo=UTC)


def request(first: int, last: int, *, is_cancelled: bool = False) -> Backfill:
    return Backfill(day(first), day(last), START, "anna@host", is_cancelled=is_cancelled)


def stored(*requests: Backfill, prefix: str = PREFIX) -> dict[bytes, bytes]:
    return {backfill_key(prefix, each.start): encode_backfill(each) for each in requests}


def test_requests_are_read_as_they_were_written() -> None:
    requests = request(5, 7, is_cancelled=True), request(1, 3)
    assert [requests[1], requests[0]] == requests_of(PREFIX, stored(*requests))


def test_requests_of_other_streams_do_not_count() -> None:
    pairs = stored(request(1, 3), prefix=f"{PREFIX}_more") | stored(request(1, 3), prefix="seemetrix/864/mall/gate")
    assert not requests_of(PREFIX, pairs)


def test_the_keys_belong_to_no_stream() -> None:
    pairs = stored(request(1, 3)) | {history_key(PREFIX): encode_history([], Window(day(1), day(3)))}
    assert not by_stream(pairs)
    assert not unnamed_keys(pairs)


@pytest.mark.parametrize(
    ("before", "added", "after"),
    [
        ([], (1, 3), [(1, 3)]),
        ([(1, 3)], (3, 5), [(1, 5)]),
        ([(5, 7)], (1, 3), [(1, 3), (5, 7)]),
        ([(1, 3), (5, 7)], (3, 5), [(1, 7)]),
        ([(1, 9)], (3, 5), [(1, 9)]),
    ],
)
def test_intervals_that_touch_are_one(
    before: list[tuple[int, int]], added: tuple[int, int], after: list[tuple[int, int]]
) -> None:
    intervals = [Window(day(first), day(last)) for first, last in before]
    pairs = {history_key(PREFIX): encode_history(intervals, Window(day(added[0]), day(added[1])))}

    assert [Window(day(first), day(last)) for first, last in after] == history_of(PREFIX, pairs)


@pytest.mark.parametrize(
    ("start", "history", "following"),
    [
        (3, [], 20),
        (3, [(10, 20)], 10),
        (3, [(5, 10), (10, 20)], 5),
        (7, [(1, 5), (10, 20)], 10),
        (3, [(5, 8)], 5),
        (5, [(5, 8)], 20),
        (21, [(5, 8)], 20),
    ],
)
def test_the_next_published_data_is_that_of_a_backfill_or_of_the_stream(
    start: int, history: list[tuple[int, int]], following: int
) -> None:
    intervals = [Window(day(first), day(last)) for first, last in history]
    assert day(following) == next_published(day(start), day(20), intervals)


@pytest.mark.parametrize(("watermark", "share"), [(day(1), 0.0), (day(2), 0.25), (day(5), 1.0), (day(9), 1.0)])
def test_the_share_is_that_of_the_watermark(watermark: datetime, share: float) -> None:
    assert share == request(1, 5).share_done(watermark)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "state_damaged"),
        (b"{}", "state_damaged"),
        (b"[" * 10_000, "state_damaged"),
        (encode_backfill(request(1, 3)).replace(b'"version":1', b'"version":2'), "state_too_new"),
        (encode_backfill(request(1, 3)).replace(b"Z", b""), "state_damaged"),
        (encode_backfill(Backfill(day(3), day(3), START, "")), "state_damaged"),
        (msgspec.json.encode({"version": 1, "start": "0001-01-01T00:00:00+14:00"}), "state_damaged"),
    ],
)
def test_a_damaged_request_is_never_run(value: bytes, code: str) -> None:
    with pytest.raises(UnreadableState) as raised:
        requests_of(PREFIX, {backfill_key(PREFIX, day(1)): value})
    assert code == raised.value.code


def test_a_damaged_history_is_never_ignored() -> None:
    with pytest.raises(UnreadableState):
        history_of(PREFIX, {history_key(PREFIX): b'{"version":1,"intervals":[["2026-03-01","2026-03-02"]]}'})


@pytest.mark.parametrize(
    ("shard", "name"),
    [("viewers", "viewers~20260301T000000Z"), ("viewers@Asia/Tokyo", "viewers~20260301T000000Z@Asia/Tokyo")],
)
def test_the_state_of_a_backfill_has_a_name_of_its_own(shard: str, name: str) -> None:
    assert name == backfill_name(shard, day(1))
    assert "viewers" == published_name(name)


def test_shards_of_a_backfill_are_shards_of_one_stream() -> None:
    account = Account("quividi", "anna")
    prefixes = {
        whole_prefix(stream_prefix(account, "mall", backfill_name(shard, day(1))))
        for shard in ("viewers", "viewers@Asia/Tokyo")
    }
    assert {"quividi/anna/mall/viewers~20260301T000000Z"} == prefixes


@pytest.mark.parametrize(
    ("starts", "history", "expected"),
    [
        ((20,), (), 20),
        ((20, 21), (), 21),
        ((20,), ((10, 12),), 10),
        ((20,), ((1, 5),), 20),
        ((), ((1, 5),), None),
        ((), (), None),
    ],
)
def test_the_next_of_what_is_published_after_a_backfill_is_its_neighbour(
    starts: tuple[int, ...], history: tuple[tuple[int, int], ...], expected: int | None
) -> None:
    published = [Window(day(first), day(last)) for first, last in history]
    assert (expected and day(expected)) == neighbour_start(day(10), [day(each) for each in starts], published)


def in_zones(backfill: Backfill, zones: str) -> Backfill:
    return structs.replace(backfill, zones=zones)


@pytest.mark.parametrize(
    ("zones", "now", "runs"), [("", PARIS, True), (PARIS, PARIS, True), (PARIS, NEW_YORK, False), ("", "", True)]
)
def test_a_backfill_belongs_to_the_time_zones_with_which_it_was_requested(zones: str, now: str, *, runs: bool) -> None:
    (found,) = requests_of(PREFIX, stored(in_zones(request(1, 3), zones)))
    assert (zones, runs) == (found.zones, found.is_in(now))


def test_requests_without_time_zones_are_stored_as_before() -> None:
    assert b"zones" not in encode_backfill(request(1, 3))
    assert b"zones" not in encode_history([], Window(day(1), day(3)))


def test_a_complete_backfill_records_its_time_zones() -> None:
    requested = in_zones(request(1, 3), PARIS)
    assert "" == history_zones(PREFIX, {})

    changes = completed(PREFIX, requested, stored(requested))

    assert PARIS == history_zones(PREFIX, {key: value for key, value in changes.items() if value is not None})


HOUR_S = 3600
DAY_S = 24 * HOUR_S
MARCH_S = unix_s(day(1))


@pytest.mark.parametrize(
    ("requests", "history", "now", "expected"),
    [
        ((), PARIS, NEW_YORK, [(MARCH_S + 4 * DAY_S + HOUR_S, MARCH_S + 6 * DAY_S + HOUR_S)]),
        ((PARIS,), None, NEW_YORK, [(MARCH_S + HOUR_S, MARCH_S + 2 * DAY_S + HOUR_S)]),
        ((NEW_YORK,), None, f"{PARIS}, {NEW_YORK} 0a", [(MARCH_S - 5 * HOUR_S, MARCH_S + 2 * DAY_S - 5 * HOUR_S)]),
        ((PARIS,), PARIS, PARIS, []),
        (("",), "", NEW_YORK, []),
        ((f"{PARIS}, {NEW_YORK} 0a",), None, PARIS, []),  # which of the two each place was in is not known
    ],
)
def test_what_backfills_with_another_time_zone_publish_is_known_in_local_time(
    requests: tuple[str, ...], history: str | None, now: str, expected: list[tuple[int, int]]
) -> None:
    pairs = stored(*(in_zones(request(1, 3), zones) for zones in requests))
    if history is not None:
        pairs[history_key(PREFIX)] = encode_history([], Window(day(5), day(7)), history)

    assert expected == in_other_zones(PREFIX, pairs, now)
