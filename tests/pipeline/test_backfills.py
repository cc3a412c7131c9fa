"""Requests for older data, and what completed ones have published, are records of the state topic."""

from datetime import UTC, datetime

import msgspec
import pytest

from collector.errors import UnreadableState
from collector.model import Account, Backfill, Window, backfill_name, published_name
from collector.pipeline.backfills import (
    backfill_key,
    encode_backfill,
    encode_history,
    history_key,
    history_of,
    neighbour_start,
    next_published,
    requests_of,
)
from collector.pipeline.shards import whole_prefix
from collector.pipeline.state import by_stream, stream_prefix
from collector.pipeline.state_records import unnamed_keys
from tests.simulated import START

PREFIX = "seemetrix/864/mall/sessions"


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
