"""The records with which an operator pauses: whatever is stored, a pause that exists never counts as none."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from collector.model import Account, Pause
from collector.pipeline.pauses import (
    UNREADABLE,
    decode_pause,
    encode_pause,
    pause_key,
    pauses_by_prefix,
    pauses_of,
    source_prefix,
)
from collector.pipeline.shards import whole_prefix
from collector.pipeline.state import by_stream, stream_prefix
from collector.pipeline.state_records import unnamed_keys

T, HOUR = datetime(2026, 11, 1, tzinfo=UTC), timedelta(hours=1)
ACCOUNT = Account("quividi", "ann/b")
STREAM = stream_prefix(ACCOUNT, "mall", "viewers")
SHARD = stream_prefix(ACCOUNT, "mall", "viewers@America/New_York")
SOURCE = stream_prefix(ACCOUNT, "mall")
PAUSE = Pause("the vendor moves", T, T + HOUR, "ann@desk")
STORED = {"version": 1, "reason": "r", "since": "2026-11-01T00:00:00Z", "by": "ann@desk"}


@pytest.mark.parametrize("pause", [PAUSE, Pause("réorganisation", T, None, "ann@desk")])
def test_a_pause_is_read_as_it_was_written(pause: Pause) -> None:
    assert pause == decode_pause(encode_pause(pause))


def test_times_are_read_in_utc() -> None:
    in_paris = PAUSE.ends_at.astimezone(timezone(HOUR))
    assert PAUSE == decode_pause(encode_pause(Pause(PAUSE.reason, T, in_paris, PAUSE.by)))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"{}",
        b"null",
        b"[" * 100_000,
        encode_pause(PAUSE)[:-1],
        *(
            msgspec.json.encode({**STORED, **wrong})
            for wrong in (
                {"version": 2},
                {"version": "1"},
                {"since": None},
                {"since": "2026-11-01T00:00:00"},
                {"until": "2026-11-01T00:00:00"},
                {"until": "9999-12-31T23:59:59-23:00"},
                {"until": 7},
                {"reason": None},
            )
        ),
    ],
)
def test_a_record_that_cannot_be_read_is_a_pause_without_end(value: bytes) -> None:
    pause = decode_pause(value)
    assert UNREADABLE == pause
    assert "collector resume" in pause.reason
    assert not pause.is_over(datetime.max.replace(tzinfo=UTC) - HOUR)


def test_a_pause_is_over_at_its_end() -> None:
    assert [False, True] == [PAUSE.is_over(T + HOUR - timedelta(seconds=1)), PAUSE.is_over(T + HOUR)]


def test_releases_without_pauses_ignore_their_records() -> None:
    pairs = {pause_key(each): b"" for each in (SOURCE, STREAM)}
    assert ([], {}) == (unnamed_keys(pairs), by_stream(pairs))


@pytest.mark.parametrize("prefix", [STREAM, SHARD])
def test_a_stream_is_paused_with_all_its_shards_by_its_own_pause_and_by_that_of_its_source(prefix: str) -> None:
    own, of_source = pause_key(STREAM), pause_key(SOURCE)
    short, long, endless = (encode_pause(Pause("r", T, until, "a")) for until in (T + HOUR, T + 2 * HOUR, None))
    for pairs, expected in (
        ({}, []),
        ({own: short}, [own]),
        ({of_source: short}, [of_source]),
        ({own: short, of_source: long}, [of_source, own]),
        ({own: long, of_source: short}, [own, of_source]),
        ({own: endless, of_source: long}, [own, of_source]),
        ({own: long, of_source: b"damaged"}, [of_source, own]),
        ({pause_key(stream_prefix(ACCOUNT, "mal", "viewers")): long}, []),
        ({pause_key(stream_prefix(ACCOUNT, "mall", "view")): long}, []),
    ):
        found = pauses_of(whole_prefix(prefix), pairs)
        assert expected == list(found), "the one that ends last is the first"


def test_the_prefix_of_a_source_is_a_part_of_those_of_its_streams() -> None:
    assert {SOURCE} == {source_prefix(each) for each in (SOURCE, STREAM, SHARD)}


def test_all_pauses_are_listed_and_no_other_records() -> None:
    pairs = {pause_key(SOURCE): encode_pause(PAUSE), pause_key(STREAM): b"damaged"}
    others = [b"#header", b"#pause", b"#pause/", b"#pause/a/b", b"#pause/a/b/c/d/e", b"#pause/a//c", b"#pause/a/b/\xff"]
    found = pauses_by_prefix({**pairs, **dict.fromkeys(others, b""), STREAM.encode(): b""})
    assert {SOURCE: PAUSE, STREAM: UNREADABLE} == found
