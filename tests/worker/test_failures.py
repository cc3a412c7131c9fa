"""Failing requests and malformed rows: the worker backs off or parks the stream, recovers and loses nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from weakref import ReferenceType, ref

import pytest
from msgspec import structs

from collector import worker as worker_module
from collector.cloudevents import Message
from collector.errors import EpochEnded, Park, RetryLater, Split
from collector.model import Checkpoint, DedupMode, Window
from collector.pipeline import rejects
from collector.pipeline.state import State, StateFormat
from tests.simulated import at
from tests.worker.harness import MALFORMED, TYPE, VendorRow
from tests.worker.scripted import HOUR, POLICY, T0, Scenario, names, rows_each

pytestmark = pytest.mark.anyio


async def test_each_failure_doubles_the_wait_up_to_two_minutes() -> None:
    scenario = Scenario([], start_s=T0 + 60, final_s=T0 + HOUR)
    failures = [0] * 8

    def script(_: Window, found: list[VendorRow]) -> list[VendorRow]:
        if failures:
            failures.pop()
            raise RetryLater("HTTP 503")
        return found

    scenario.stream.script = script
    await scenario.run()
    waits = [
        (b[1] - a[1]).total_seconds()
        for a, b in zip(scenario.stream.requests[:8], scenario.stream.requests[1:9], strict=True)
    ]
    for number, wait in enumerate(waits):
        full = min(120, 2**number)
        assert full / 2 <= wait - 1 <= full + 1, f"wait {number}"
    assert 8 == scenario.metric("collector_polls_total", outcome="retry")
    assert "live" == scenario.status.state


async def test_a_wait_that_the_vendor_requests_is_kept() -> None:
    scenario = Scenario([], start_s=T0 + 60, final_s=T0 + 2 * HOUR)
    failures = [0]

    def script(_: Window, found: list[VendorRow]) -> list[VendorRow]:
        if failures:
            failures.pop()
            raise RetryLater("HTTP 429", after_s=1800)
        return found

    scenario.stream.script = script
    await scenario.run()
    assert scenario.stream.requests[1][1] >= scenario.stream.requests[0][1] + timedelta(seconds=1800)


async def test_a_parked_stream_is_retried_slowly_and_recovers_by_itself() -> None:
    scenario = Scenario(rows_each(600), start_s=T0 + 60, final_s=T0 + 6 * HOUR)
    failures, states = [0] * 5, list[str]()

    def script(_: Window, found: list[VendorRow]) -> list[VendorRow]:
        if failures:
            failures.pop()
            states.append(scenario.status.state)
            raise Park("HTTP 401", advice="the key is wrong")
        return found

    scenario.stream.script = script
    await scenario.run()
    gap = scenario.stream.requests[1][1] - scenario.stream.requests[0][1]
    assert timedelta(seconds=15) <= gap <= timedelta(seconds=32)
    assert {row.name for row in rows_each(600)} == names(scenario)
    assert 5 == scenario.metric("collector_polls_total", outcome="park")
    assert ["not_owned", *["parked"] * 4] == states


async def test_an_unexpected_exception_parks_the_stream_and_loses_nothing() -> None:
    scenario = Scenario(rows_each(600), start_s=T0 + 60, final_s=T0 + 6 * HOUR)
    failures, states = [0, 0], list[str]()

    def script(_: Window, found: list[VendorRow]) -> list[VendorRow]:
        if failures:
            failures.pop()
            states.append(scenario.status.state)
            raise ZeroDivisionError
        return found

    scenario.stream.script = script
    await scenario.run()
    assert ["not_owned", "parked"] == states
    assert {row.name for row in rows_each(600)} == names(scenario)


async def test_if_a_tenth_of_the_rows_is_malformed_the_stream_is_parked_before_it_publishes_them() -> None:
    good = rows_each(60)
    bad = [VendorRow(t, t, f"bad {t}", MALFORMED, t) for t in range(T0, T0 + 6 * HOUR, 400)]
    scenario = Scenario(good, start_s=T0 + 48 * HOUR, final_s=T0 + 7 * HOUR)
    repaired = [False]

    def script(window: Window, found: list[VendorRow]) -> list[VendorRow]:
        if scenario.status.state == "parked":
            repaired[0] = True
        if repaired[0]:
            return found
        return [*found, *(row for row in bad if window.start <= at(row.start_s) < window.end)]

    scenario.stream.script = script
    await scenario.run()
    assert repaired[0]
    assert 9 == scenario.metric("collector_dead_letters_total", reason="malformed"), "only those of the first hour"
    assert {row.name for row in good} == names(scenario)


async def test_a_few_malformed_rows_are_dead_letters_and_the_stream_continues() -> None:
    good = rows_each(60)
    bad = [VendorRow(t, t, f"bad {t}", MALFORMED, t) for t in range(T0, T0 + 6 * HOUR, 3000)]
    scenario = Scenario(good, start_s=T0 + 48 * HOUR, final_s=T0 + 7 * HOUR)
    scenario.stream.script = lambda window, found: [
        *found,
        *(row for row in bad if window.start <= at(row.start_s) < window.end),
    ]
    await scenario.run()
    assert {row.name for row in good} == names(scenario)
    letters = [message for message in scenario.sink.messages if message.topic == "collector.dead_letters"]
    assert len(bad) == len(letters)
    assert len(bad) == scenario.metric("collector_dead_letters_total", reason="malformed")


@pytest.mark.parametrize(("records", "is_parked"), [(4, False), (0, True)])
async def test_a_malformed_row_that_every_response_repeats_parks_a_stream_only_if_nothing_else_is_in_them(
    monkeypatch: pytest.MonkeyPatch, records: int, is_parked: bool
) -> None:
    """As in a short list of present things: one of them is malformed until somebody corrects it at the vendor."""
    good = [VendorRow(T0 + 5 * HOUR + n, T0 + 5 * HOUR + n, f"at {n}", "hello", T0) for n in range(records)]
    bad = VendorRow(T0 + 5 * HOUR + 9, T0 + 5 * HOUR + 9, "bad", MALFORMED, T0)
    scenario = Scenario([], start_s=T0 + 5 * HOUR, final_s=T0 + 7 * HOUR)
    scenario.stream.script = lambda *_: [*good, bad]
    parked: list[str] = []
    monkeypatch.setattr(scenario.telemetry, "parked", lambda _, error, **__: parked.append(error.code))
    await scenario.run()

    assert ({"format_changed"} if is_parked else set()) == set(parked)
    assert {row.name for row in good} == names(scenario)
    assert 1 == scenario.metric("collector_dead_letters_total", reason="malformed")


async def test_a_record_that_starts_more_than_a_day_ahead_is_a_dead_letter_and_not_remembered_until_then() -> None:
    good, start_s = rows_each(600), T0 + 48 * HOUR
    far = [VendorRow(start_s + 50 * HOUR + n, start_s + 50 * HOUR + n, f"far {n}", "hello", T0) for n in range(3)]
    near = VendorRow(start_s + 20 * HOUR, start_s + 20 * HOUR, "near", "hello", T0)
    scenario = Scenario(good, start_s=start_s, final_s=T0 + 7 * HOUR)
    scenario.stream.script = lambda _, found: [*found, *far, near]
    await scenario.run()

    assert {*(row.name for row in good), "near"} == names(scenario)
    letters = [message for message in scenario.sink.messages if message.topic == "collector.dead_letters"]
    assert 3 == len(letters)
    assert all(b"more than a day" in message.value for message in letters)
    assert scenario.clock.state is not None
    assert max(page.last_s for page in scenario.clock.state.ledger.pages().values()) <= near.start_s


async def test_more_dead_letters_in_an_hour_than_the_cap_park_the_stream_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Below the share that parks a stream at once, malformed rows may still be many."""
    for module in (rejects, worker_module):
        monkeypatch.setattr(module, "MAX_DEAD_LETTERS", 8)
    good = rows_each(20)
    bad = [VendorRow(t, t, f"bad {t}", MALFORMED, t) for t in range(T0, T0 + 6 * HOUR, 600)]
    policy = structs.replace(POLICY, span=timedelta(hours=1))
    scenario = Scenario(good, start_s=T0 + 48 * HOUR, final_s=T0 + 7 * HOUR, policy=policy)
    parked: list[str] = []
    scenario.stream.script = lambda window, found: [
        *found,
        *(row for row in bad if window.start <= at(row.start_s) < window.end),
    ]
    monkeypatch.setattr(scenario.telemetry, "parked", lambda _, error, **__: parked.append(error.code))
    await scenario.run()

    assert {"format_changed"} == set(parked)
    assert {row.name for row in good} == names(scenario)
    letters = [message for message in scenario.sink.messages if message.topic == "collector.dead_letters"]
    assert len(bad) == len(letters) == len({message.id for message in letters})


async def test_a_failed_commit_leaves_the_state_in_memory_unchanged() -> None:
    scenario = Scenario(rows_each(600), start_s=T0 + 2 * HOUR, final_s=T0 + 6 * HOUR)
    state = State("test/1/list/things", StateFormat(DedupMode.VERSIONED, 1, timedelta(0)))
    worker, attempts = scenario.worker(state), list[tuple[int, Checkpoint | None]]()

    async def commit(messages: Sequence[Message], pairs: Mapping[bytes, bytes | None]) -> None:
        attempts.append((len(state.ledger), state.durable))
        if any(message.topic == TYPE.topic for message in messages):
            raise EpochEnded
        await scenario.sink.commit(messages, pairs)

    worker._commit = commit
    with pytest.raises(EpochEnded):
        await worker.run(at(T0))

    first, *_, last = attempts
    assert (0, None) == first
    assert (0, last[1]) == (len(state.ledger), state.durable)


class Response:
    """What a failing request has received."""


@pytest.mark.parametrize(
    "error", [Park("wrong", advice="correct it"), RetryLater("HTTP 503"), Split("large"), ValueError("wrong")]
)
async def test_a_stream_that_waits_after_an_error_does_not_keep_the_response(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = Scenario([], start_s=T0 + 60, final_s=T0 + HOUR)
    kept: list[ReferenceType[Response]] = []

    def script(_: Window, found: list[VendorRow]) -> list[VendorRow]:
        if not kept:
            response = Response()
            kept.append(ref(response))
            try:
                raise LookupError(str(response))  # noqa: TRY301 - the cause has frames of its own
            except LookupError as cause:
                raise error from cause
        return found

    until, is_kept = scenario.clock.until, list[bool]()

    async def checked(instant: datetime) -> None:
        is_kept.extend(each() is not None for each in kept)
        await until(instant)

    monkeypatch.setattr(scenario.clock, "until", checked)
    scenario.stream.script = script
    await scenario.run()
    assert is_kept
    assert not any(is_kept)
