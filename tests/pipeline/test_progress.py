"""What a commit tells consumers, and how often."""

from datetime import datetime, timedelta

import msgspec
import pytest
from msgspec import structs

from collector.model import Account, Checkpoint, Policy
from collector.pipeline.message import Origin, StreamProgress
from collector.pipeline.plan import Cursors, Pass
from collector.pipeline.progress import MIN_INTERVAL, Progress, state_after
from tests.simulated import at

NOON = at(1_000_000_800)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
POLICY = Policy(interval=SECOND, settle=SECOND, allowed_lateness=2 * HOUR, sweep_every=HOUR, span=HOUR)
CHECKPOINT = Checkpoint(NOON - 24 * HOUR, watermark=NOON, final=NOON - 2 * HOUR, span=HOUR, swept_at=NOON)

SHARDS = ("mall/viewers", "mall/viewers@Asia%2FTokyo", "mall/viewers@America%2FNew_York")


def progress(policy: Policy = POLICY) -> Progress:
    return Progress(Origin(Account("seemetrix", "1"), "mall", "sessions"), policy)


def reported(
    progress: Progress, checkpoint: Checkpoint, state: StreamProgress = "live", now: datetime = NOON
) -> dict[str, str] | None:
    """The value of the message, which is then durable; None without a message."""
    message = progress.message(checkpoint, state, now)
    if message is None:
        return None
    progress.committed(checkpoint, state, now)
    value: dict[str, str] = msgspec.json.decode(message.value)
    return value


def moved(hours: int) -> Checkpoint:
    step = hours * HOUR
    return structs.replace(
        CHECKPOINT,
        watermark=CHECKPOINT.watermark + step,
        final=CHECKPOINT.final + step,
        swept_at=CHECKPOINT.swept_at + step,
    )


def test_the_first_message_is_due_at_once_and_the_same_one_never_again() -> None:
    found = progress()

    assert reported(found, CHECKPOINT) is not None
    assert reported(found, CHECKPOINT, now=NOON + HOUR) is None


@pytest.mark.parametrize(
    ("state", "after", "is_due"),
    [
        ("catching_up", MIN_INTERVAL - SECOND, False),
        ("catching_up", MIN_INTERVAL, True),
        ("live", SECOND, True),
        ("complete", SECOND, True),
        ("catching_up", -HOUR, True),
    ],
)
def test_a_message_is_not_early_unless_the_stream_becomes_live_or_complete(
    state: StreamProgress, after: timedelta, is_due: bool
) -> None:
    found = progress()
    reported(found, CHECKPOINT, "catching_up")

    assert is_due == (reported(found, moved(1), state, NOON + after) is not None)


def test_a_live_stream_that_stays_live_has_no_early_message() -> None:
    found = progress()
    reported(found, CHECKPOINT)

    assert reported(found, moved(1), now=NOON + SECOND) is None


@pytest.mark.parametrize(
    ("change", "final"),
    [
        ({}, NOON - 2 * HOUR),
        ({"watermark": NOON - HOUR}, NOON - 3 * HOUR),
        ({"swept_at": NOON - HOUR}, NOON - 3 * HOUR),
        ({"final": NOON - 5 * HOUR}, NOON - 5 * HOUR),
        ({"swept_at": NOON - 48 * HOUR}, CHECKPOINT.since),
    ],
)
def test_final_is_the_instant_before_which_every_window_of_a_record_was_fetched(
    change: dict[str, datetime], final: datetime
) -> None:
    value = reported(progress(), structs.replace(CHECKPOINT, **change))

    assert value is not None
    assert f"{final:%Y-%m-%dT%H:%M:%S}.000Z" == value["final"]


def test_neither_time_is_later_than_the_end_of_the_stream() -> None:
    until = NOON - 6 * HOUR
    value = reported(progress(structs.replace(POLICY, until=until)), CHECKPOINT, "complete")

    assert value is not None
    assert {f"{until:%Y-%m-%dT%H:%M:%S}.000Z"} == {value["watermark"], value["final"]}


def test_ids_do_not_repeat_when_a_stream_returns_to_an_earlier_state() -> None:
    found = progress()
    states: tuple[StreamProgress, ...] = ("live", "catching_up", "live")
    values = [reported(found, CHECKPOINT, state, NOON + n * HOUR) for n, state in enumerate(states)]

    assert 3 == len({value["event_id"] for value in values if value})


@pytest.mark.parametrize(
    ("remaining", "before", "after"),
    [
        (None, "catching_up", "live"),
        (SECOND, "catching_up", "live"),
        (2 * SECOND, "catching_up", "catching_up"),
        (2 * SECOND, "live", "live"),
        (4 * SECOND, "live", "catching_up"),
    ],
)
def test_a_stream_catches_up_while_more_than_two_polls_are_left(
    remaining: timedelta | None, before: StreamProgress, after: StreamProgress
) -> None:
    live = None if remaining is None else Pass(NOON, NOON + remaining, NOON)

    assert after == state_after(before, CHECKPOINT, Cursors(due=NOON, live=live), POLICY)


def of_shards() -> Progress:
    return Progress(Origin(Account("quividi", "ann"), "lobby", "viewers"), POLICY, ["paris", "tokyo"])


def test_a_stream_reports_nothing_before_each_shard_has_begun() -> None:
    found = of_shards()

    assert found.message(CHECKPOINT, "live", NOON, "paris") is None
    assert found.is_reported(CHECKPOINT, "live", "paris")
    found.begin("paris", CHECKPOINT)
    assert found.message(CHECKPOINT, "live", NOON, "paris") is None
    assert found.message(CHECKPOINT, "live", NOON, "tokyo") is not None


def shard_reported(found: Progress, shard: str, checkpoint: Checkpoint, state: StreamProgress) -> dict[str, str] | None:
    """The value of the message of a commit of a shard, which is then durable; None without one."""
    later = NOON + HOUR
    message = found.message(checkpoint, state, later, shard)
    found.committed(checkpoint, state, later, shard, reported=message is not None)
    return None if message is None else msgspec.json.decode(message.value)


def test_a_stream_is_as_far_as_the_shard_that_is_least_far() -> None:
    found = of_shards()
    found.begin("paris", CHECKPOINT)
    found.begin("tokyo", moved(-3))

    value = shard_reported(found, "paris", moved(5), "catching_up")

    assert value is not None
    assert "viewers" == value["stream"]
    assert moved(-3).watermark == datetime.fromisoformat(value["watermark"])
    assert shard_reported(found, "paris", moved(6), "catching_up") is None  # it does not move the stream
    assert found.is_reported(moved(7), "catching_up", "paris")
    assert not found.is_reported(moved(2), "catching_up", "tokyo")


@pytest.mark.parametrize(
    ("paris", "tokyo", "whole"),
    [
        ("live", "live", "live"),
        ("live", "catching_up", "catching_up"),
        ("complete", "live", "live"),
        ("complete", "catching_up", "catching_up"),
        ("complete", "complete", "complete"),
    ],
)
def test_a_stream_is_live_or_complete_once_all_shards_are(
    paris: StreamProgress, tokyo: StreamProgress, whole: str
) -> None:
    found = of_shards()
    for shard in ("paris", "tokyo"):
        found.begin(shard, CHECKPOINT)
    found.committed(CHECKPOINT, paris, NOON, "paris", reported=False)

    value = shard_reported(found, "tokyo", CHECKPOINT, tokyo)

    assert value is not None
    assert whole == value["state"]


def test_the_times_of_two_shards_are_compared_separately() -> None:
    found = of_shards()
    early, late = structs.replace(CHECKPOINT, watermark=NOON - HOUR), structs.replace(CHECKPOINT, final=NOON - 5 * HOUR)
    found.begin("paris", early)
    found.begin("tokyo", late)

    value = shard_reported(found, "tokyo", late, "live")

    assert value is not None
    assert NOON - HOUR == datetime.fromisoformat(value["watermark"])
    assert NOON - 5 * HOUR == datetime.fromisoformat(value["final"])


def test_a_stream_is_complete_once_its_last_shard_is() -> None:
    found = Progress(Origin(Account("quividi", "1"), "mall", "viewers"), POLICY, SHARDS)
    for shard in SHARDS:
        found.begin(shard, CHECKPOINT)
    states = []
    for shard in SHARDS:  # each one as the worker does when it has nothing more to fetch
        assert not found.is_reported(CHECKPOINT, "complete", shard)
        message = found.message(CHECKPOINT, "complete", NOON, shard)
        states += [] if message is None else [msgspec.json.decode(message.value)["state"]]
        found.committed(CHECKPOINT, "complete", NOON, shard, reported=message is not None)
        assert found.is_reported(CHECKPOINT, "complete", shard)

    assert "complete" == states[-1]
    assert "complete" not in states[:-1]
