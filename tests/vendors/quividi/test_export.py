"""An export is polled and not started over, rebuilt where it is old or failed, and never taken for newer than it is."""

from datetime import timedelta

import pytest

from collector.errors import Park, RetryLater
from collector.vendors.quividi.export import (
    MAX_POLLS,
    POLLS_S,
    REBUILD_INTERVAL,
    REBUILDS_S,
    Call,
    Export,
    ExportStatus,
    GaveUp,
    Take,
    abandoned,
    advance,
)
from tests.simulated import START

ENDED = START - timedelta(minutes=45)
"""When the window came to its end: nobody asked for it earlier."""
MINUTE = timedelta(minutes=1)


def said(state: str, minute: float = 0, *, forced: bool = False, rows: bool = True, reason: str = "") -> ExportStatus:
    return ExportStatus(state, START + minute * MINUTE, forced, rows and state == "finished", reason)


def after(*answers: ExportStatus, export: Export | None = None) -> tuple[Export, Call | Take]:
    """What is known and done after the last of these."""
    export = export or Export(ENDED)
    step: Call | Take = Call()
    for answer in answers:
        export, step = advance(export, answer)
    return export, step


def gave_up(*answers: ExportStatus, export: Export | None = None) -> GaveUp:
    *before, last = answers
    export, _ = after(*before, export=export)
    with pytest.raises(GaveUp) as raised:
        advance(export, last)
    return raised.value


def test_an_export_that_the_first_call_started_is_polled_and_never_forced() -> None:
    export, steps = Export(ENDED), []
    for answer in [said("started"), *(said("in_progress", minute) for minute in range(1, 12))]:
        export, step = advance(export, answer)
        steps.append(step)

    assert [Call(wait_s) for wait_s in (1, 1, 2, 3, 5, 8, 13, 20, 30, 30, 30, 30)] == steps
    assert export.is_running


def test_what_the_first_call_started_holds_what_the_vendor_had_then() -> None:
    export, step = after(said("started", 0), said("in_progress", 1), said("finished", 2))

    assert Take(START) == step
    assert not export.is_running


def test_a_first_answer_that_is_finished_is_an_old_one_and_is_forced_once() -> None:
    old = after(said("finished"))
    assert Call(force=True) == old[1]

    forced = after(said("started", 1, forced=True), export=old[0])
    assert Call(POLLS_S[0]) == forced[1]

    polled = after(said("in_progress", 2), said("in_progress", 3), export=forced[0])
    assert Call(POLLS_S[2]) == polled[1]

    assert Take(START + MINUTE) == after(said("finished", 4), export=polled[0])[1]


def test_an_export_that_the_forced_call_itself_finds_finished_is_taken() -> None:
    assert Take(START + MINUTE) == after(said("finished"), said("finished", 1, forced=True))[1]


def test_a_first_answer_that_is_in_progress_was_started_lately_and_is_taken_for_no_newer_than_the_window() -> None:
    export, step = after(said("in_progress"))
    assert (Call(POLLS_S[0]), ENDED, True) == (step, export.requested_at, export.is_running)

    assert Take(ENDED) == after(said("in_progress", 1), said("finished", 2), export=export)[1]


def test_an_export_that_the_vendor_starts_again_is_still_that_of_the_first_call() -> None:
    assert Take(START) == after(said("started"), said("started", 1), said("finished", 2))[1]


@pytest.mark.parametrize("answer", [said("failed"), said("finished", rows=False)], ids=["failed", "no list"])
def test_an_export_that_failed_is_rebuilt_a_few_times_with_longer_and_longer_waits(answer: ExportStatus) -> None:
    export, steps = Export(ENDED), []
    for _ in REBUILDS_S:
        export, step = advance(export, answer)
        assert not export.is_running
        steps.append(step)
        export, step = advance(export, said("started", 1, forced=True))
        assert Call(POLLS_S[0]) == step

    assert [Call(wait_s, force=True) for wait_s in (10, 60, 300)] == steps
    with pytest.raises(GaveUp) as raised:
        advance(export, answer)
    assert isinstance(raised.value.error, Park)


def test_a_rebuild_that_succeeds_is_of_the_forced_call_and_forgives_the_failures() -> None:
    export, step = after(said("failed"), said("started", 1, forced=True), said("finished", 2))

    assert Take(START + MINUTE) == step
    assert 0 == export.rebuilds


def test_what_is_known_of_a_failed_export_s_start_is_forgotten() -> None:
    export, _ = after(said("started"), said("failed", 1))

    assert export.requested_at is None
    assert Call(force=True) == after(said("finished", 2), export=export)[1]


def test_the_operator_reads_why_it_failed_in_the_vendors_words_and_no_more_than_some_of_them() -> None:
    failures = [said("failed", reason="no disk " + "x" * 1000)] * (len(REBUILDS_S) + 1)

    error = gave_up(*failures).error

    assert isinstance(error, Park)
    assert "failed 3 times: no disk xx" in str(error)
    assert len(str(error)) < 300
    assert "Quividi" in error.advice


def test_an_export_that_is_parked_is_rebuilt_once_an_hour() -> None:
    parked = gave_up(*[said("failed")] * 4).export
    just_before = gave_up(said("failed", 59.9), export=parked)
    again = after(said("failed", 60), export=just_before.export)
    assert Call(force=True) == again[1]

    failed = gave_up(said("started", 60, forced=True), said("failed", 61), export=again[0])
    assert isinstance(failed.error, Park)
    assert isinstance(gave_up(said("failed", 119.9), export=failed.export).error, Park)
    assert Call(force=True) == after(said("failed", 120), export=failed.export)[1]


def test_a_parked_export_that_is_well_at_last_is_taken() -> None:
    parked = gave_up(*[said("failed")] * 4).export

    assert (
        Take(START + 6 * MINUTE)
        == after(said("finished", 5), said("started", 6, forced=True), said("finished", 7), export=parked)[1]
    )


@pytest.mark.parametrize("state", ["", "queued", "FINISHED", "x" * 1000])
def test_a_state_that_the_document_does_not_know_is_asked_about_later(state: str) -> None:
    error = gave_up(said("started"), said(state, 1)).error

    assert isinstance(error, RetryLater)
    assert (False, False) == (error.narrower, error.throttled)
    assert repr(state[:40]) in str(error)
    assert len(str(error)) < 100


def test_an_unknown_state_does_not_forget_what_was_known() -> None:
    export = gave_up(said("started"), said("queued", 1)).export

    assert Take(START) == after(said("finished", 2), export=export)[1]


def test_a_rebuild_that_the_vendor_did_not_say_it_began_makes_nothing_new() -> None:
    """Such as `{"state": "maintenance"}`: what is finished afterwards may be what was finished before."""
    export = gave_up(said("finished"), said("maintenance", 1, forced=True)).export

    assert Call(force=True) == after(said("finished", 2), export=export)[1]


def test_an_export_that_is_never_finished_is_given_up_and_less_is_asked_for() -> None:
    polled, step = after(said("started"), *[said("in_progress", 1)] * (MAX_POLLS - 1))
    assert Call(POLLS_S[-1]) == step

    given_up = gave_up(said("in_progress", 60), export=polled)
    assert isinstance(given_up.error, RetryLater)
    assert given_up.error.narrower
    assert given_up.export.is_running


def test_an_export_that_was_given_up_may_be_waited_for_again_and_is_still_that_of_its_first_call() -> None:
    export = gave_up(said("started"), *[said("in_progress", 1)] * MAX_POLLS).export

    assert Call(POLLS_S[0]) == after(said("in_progress", 61), export=export)[1]
    assert Take(START) == after(said("finished", 62), export=export)[1]


def test_of_an_export_that_was_left_running_for_long_it_is_not_known_who_started_it() -> None:
    export = abandoned(after(said("started"))[0])

    assert not export.is_running
    assert Call(force=True) == after(said("finished", 20), export=export)[1]
    assert Take(ENDED) == after(said("in_progress", 20), said("finished", 21), export=export)[1]


def test_of_an_export_that_failed_the_failures_stay_known_however_long_nobody_asks() -> None:
    export = gave_up(*[said("failed")] * 4).export

    assert export == abandoned(export)


def test_the_documented_waits_end_within_the_hours_that_they_are_for() -> None:
    patience = sum(POLLS_S) + POLLS_S[-1] * (MAX_POLLS - len(POLLS_S))

    assert timedelta(minutes=55) < timedelta(seconds=patience) < timedelta(minutes=65)
    assert timedelta(seconds=sum(REBUILDS_S)) < REBUILD_INTERVAL
