"""A rewind repairs the state of a stream: it removes what no version of the collector writes, and keeps the rest."""

from datetime import UTC, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec import structs

from collector.alignment import AnySecond
from collector.commands.repair import readable, replacement
from collector.commands.state import MAX_SHOWN, Rewind
from collector.errors import UnreadableState
from collector.model import Account, DedupMode
from collector.pipeline.state import by_stream, load
from tests.pipeline.test_damaged_state import (
    CHECKPOINT,
    CHUNK,
    DAMAGED,
    PAGE,
    PREFIX,
    VALID,
    VERSIONED,
    T,
    checkpoint_with,
    topic,
)

STREAM = cast(
    "Any",
    SimpleNamespace(
        account=Account("seemetrix", "864"),
        source="mall",
        name="sessions",
        dedup_mode=DedupMode.VERSIONED,
        fields_version=1,
        max_clock_offset=timedelta(0),
        former=None,
        selection="all devices",
        zone=UTC,
        policy=SimpleNamespace(alignment=AnySecond(), span=timedelta(hours=6)),
    ),
)


@pytest.mark.parametrize("of_stream", DAMAGED.values(), ids=DAMAGED)
def test_the_damaged_records_are_removed_and_the_others_stay(of_stream: dict[bytes, bytes]) -> None:
    pairs = topic(of_stream)
    found = readable(STREAM, pairs)
    assert 1 == len(found.damaged)
    remaining = {key: value for key, value in pairs.items() if key not in found.damaged}
    assert len(pairs) == len(remaining) + 1, "the key is that of the topic, also if it is not UTF-8"
    state = load(PREFIX, VERSIONED, by_stream(remaining).get(PREFIX, {}))
    assert (state.checkpoint, len(state.ledger)) == (found.state.checkpoint, len(found.state.ledger))
    assert len(found.state.ledger) == 3 * len({*of_stream} & {*VALID} - {b""})


def test_nothing_is_damaged_in_a_valid_state() -> None:
    found = readable(STREAM, topic(VALID))
    assert ((), 9) == (found.damaged, len(found.state.ledger))
    assert readable(STREAM, {}).state.checkpoint is None


@pytest.mark.parametrize(
    "newer", [{b"": checkpoint_with(version=2)}, {b"": CHECKPOINT, b"/%d/0" % PAGE: b"\2" + CHUNK[1:]}]
)
def test_the_state_of_a_newer_version_is_not_damaged(newer: dict[bytes, bytes]) -> None:
    with pytest.raises(UnreadableState) as refused:
        readable(STREAM, topic({**newer, b"/first/0": CHUNK}))
    assert "state_too_new" == refused.value.code


@pytest.mark.parametrize(("since_h", "expected_h"), [(None, 0), (-5, -5), (5, 0)])
def test_a_stream_without_a_checkpoint_continues_from_the_given_time(since_h: int | None, expected_h: int) -> None:
    since = None if since_h is None else T + timedelta(hours=since_h, milliseconds=7)
    checkpoint = replacement(STREAM, T, since)
    assert (T, T, "all devices") == (checkpoint.watermark, checkpoint.final, checkpoint.selection)
    assert T + timedelta(hours=expected_h) == checkpoint.since


def test_the_user_confirms_what_is_removed_and_published_again() -> None:
    checkpoint = replacement(STREAM, T, None)
    assert [] == Rewind(checkpoint, checkpoint).warnings
    [removed, lost] = Rewind(None, checkpoint, tuple(f"key{number}" for number in range(MAX_SHOWN + 5))).warnings
    assert "key0" in removed
    assert f"key{MAX_SHOWN}" not in removed
    assert "5 more" in removed
    assert "2026-11-01T00:00:00Z" in lost


def test_a_snapshot_is_not_published_again() -> None:
    after = replacement(STREAM, T, None)
    before = structs.replace(after, final=T + timedelta(hours=1))

    [again] = Rewind(before, after).warnings
    [snapshot] = Rewind(before, after, is_snapshot=True).warnings

    assert "published again" in again
    assert "published again" not in snapshot
