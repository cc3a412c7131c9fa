"""An export is polled without a restart, rebuilt if it is old or failed, and its age is never overstated."""

from datetime import timedelta

import pytest

from collector.errors import Park, RetryLater
from collector.vendors.quividi.export import (
    FIRST_WAIT_S,
    MAX_POLLS,
    MAX_WAIT_S,
    REBUILD_INTERVAL,
    REBUILDS_S,
    Export,
    ExportStatus,
    GaveUp,
    NextCall,
    UseRows,
    abandoned,
    advance,
    resumed,
)
from tests.simulated import START

ENDED = START - timedelta(minutes=45)
"""The end of the window: no request for it was earlier."""
MINUTE = timedelta(minutes=1)


def status(state: str, minute: float = 0, *, forced: bool = False, rows: bool = True, reason: str = "") -> ExportStatus:
    return ExportStatus(state, START + minute * MINUTE, 60 * minute, forced, rows and state == "finished", reason)


def after(*statuses: ExportStatus, export: Export | None = None) -> tuple[Export, NextCall | UseRows]:
    """The state and the next step after these responses."""
    export = export or Export(ENDED)
    step: NextCall | UseRows = NextCall()
    for each in statuses:
        export, step = advance(export, each)
    return export, step


def gave_up(*statuses: ExportStatus, export: Export | None = None) -> GaveUp:
    *before, last = statuses
    export, _ = after(*before, export=export)
    with pytest.raises(GaveUp) as raised:
        advance(export, last)
    return raised.value


def test_a_started_export_is_polled_without_force_at_growing_intervals() -> None:
    export, step = advance(Export(ENDED), status("started"), 20)
    waits, passed_s = [], 0.0
    while passed_s < 400:
        assert isinstance(step, NextCall)
        assert not step.force
        waits.append(step.wait_s)
        passed_s += step.wait_s
        export, step = advance(export, status("in_progress", passed_s / 60), 20)

    assert [20, 10, 15, 22.5, 33.75, 50.625, 60, 60, 60, 60, 60] == waits
    assert export.is_running


def test_a_poll_without_rows_is_suggested_only_after_two_unsuccessful_ones() -> None:
    statuses = [status("started"), *(status("in_progress", minute) for minute in range(1, 5))]
    steps = [after(*statuses[:count])[1] for count in range(1, 6)]

    assert [False, False, True, True, True] == [isinstance(step, NextCall) and step.status_only for step in steps]


def test_a_started_export_contains_the_data_at_its_first_call() -> None:
    export, step = after(status("started", 0), status("in_progress", 1), status("finished", 2))

    assert UseRows(START, 120) == step
    assert not export.is_running


def test_a_finished_first_response_is_rebuilt_once() -> None:
    old = after(status("finished"))
    assert NextCall(force=True) == old[1]

    forced = after(status("started", 1, forced=True), export=old[0])
    assert NextCall(FIRST_WAIT_S) == forced[1]

    polled = after(status("in_progress", 2), status("in_progress", 3), export=forced[0])
    assert NextCall(MAX_WAIT_S, status_only=True) == polled[1]

    assert UseRows(START + MINUTE, 180) == after(status("finished", 4), export=polled[0])[1]


def test_an_export_that_finishes_in_the_forced_call_is_used() -> None:
    assert UseRows(START + MINUTE) == after(status("finished"), status("finished", 1, forced=True))[1]


def test_an_export_in_progress_at_first_is_as_old_as_the_window_end() -> None:
    export, step = after(status("in_progress"))
    assert (NextCall(FIRST_WAIT_S), ENDED, True) == (step, export.requested_at, export.is_running)

    assert UseRows(ENDED) == after(status("in_progress", 1), status("finished", 2), export=export)[1]


def test_a_second_started_response_keeps_the_first_request_time() -> None:
    twice = after(status("started"), status("started", 1), status("finished", 2))

    assert UseRows(START, 60) == twice[1]


@pytest.mark.parametrize("failure", [status("failed"), status("finished", rows=False)], ids=["failed", "no list"])
def test_a_failed_export_is_rebuilt_with_growing_waits(failure: ExportStatus) -> None:
    export, steps = Export(ENDED), []
    for _ in REBUILDS_S:
        export, step = advance(export, failure)
        assert not export.is_running
        steps.append(step)
        export, step = advance(export, status("started", 1, forced=True))
        assert NextCall(FIRST_WAIT_S) == step

    assert [NextCall(wait_s, force=True) for wait_s in (10, 60, 300)] == steps
    with pytest.raises(GaveUp) as raised:
        advance(export, failure)
    assert isinstance(raised.value.error, Park)


def test_a_successful_rebuild_resets_the_failures() -> None:
    export, step = after(status("failed"), status("started", 1, forced=True), status("finished", 2))

    assert UseRows(START + MINUTE, 60 / 1.5) == step
    assert 0 == export.rebuilds


def test_a_failed_export_loses_its_request_time() -> None:
    export, _ = after(status("started"), status("failed", 1))

    assert export.requested_at is None
    assert NextCall(force=True) == after(status("finished", 2), export=export)[1]


def test_the_vendors_reason_is_shown_truncated() -> None:
    failures = [status("failed", reason="no disk " + "x" * 1000)] * (len(REBUILDS_S) + 1)

    error = gave_up(*failures).error

    assert isinstance(error, Park)
    assert "export_failed" == error.code
    assert all(text in str(error) for text in ("3 times", "no disk xx"))
    assert len(str(error)) < 300
    assert "Quividi" in error.advice


def test_a_parked_export_is_rebuilt_once_an_hour() -> None:
    parked = gave_up(*[status("failed")] * 4).export
    just_before = gave_up(status("failed", 59.9), export=parked)
    again = after(status("failed", 60), export=just_before.export)
    assert NextCall(force=True) == again[1]

    failed = gave_up(status("started", 60, forced=True), status("failed", 61), export=again[0])
    assert isinstance(failed.error, Park)
    assert isinstance(gave_up(status("failed", 119.9), export=failed.export).error, Park)
    assert NextCall(force=True) == after(status("failed", 120), export=failed.export)[1]


def test_a_parked_export_that_recovers_is_used() -> None:
    parked = gave_up(*[status("failed")] * 4).export

    assert (
        UseRows(START + 6 * MINUTE, 60 / 1.5)
        == after(status("finished", 5), status("started", 6, forced=True), status("finished", 7), export=parked)[1]
    )


@pytest.mark.parametrize("state", ["", "queued", "FINISHED", "x" * 1000])
def test_an_undocumented_state_is_retried_later(state: str) -> None:
    error = gave_up(status("started"), status(state, 1)).error

    assert isinstance(error, RetryLater)
    assert ("export_state_unknown", False, False) == (error.code, error.narrower, error.throttled)
    assert repr(state[:40]) in str(error)
    assert len(str(error)) < 100


def test_an_undocumented_state_keeps_the_request_time() -> None:
    export = gave_up(status("started"), status("queued", 1)).export

    assert UseRows(START, 120 / 1.5) == after(status("finished", 2), export=export)[1]


def test_an_unconfirmed_rebuild_is_repeated() -> None:
    """After `{"state": "maintenance"}`, a finished export may be the old one."""
    export = gave_up(status("finished"), status("maintenance", 1, forced=True)).export

    assert NextCall(force=True) == after(status("finished", 2), export=export)[1]


def test_an_endless_export_is_given_up_with_a_narrower_window() -> None:
    polled, step = after(status("started"), *[status("in_progress", 1)] * (MAX_POLLS - 1))
    assert NextCall(30, status_only=True) == step

    given_up = gave_up(status("in_progress", 60), export=polled)
    assert isinstance(given_up.error, RetryLater)
    assert ("export_timeout", True) == (given_up.error.code, given_up.error.narrower)
    assert given_up.export.is_running


def test_a_given_up_export_can_be_polled_again() -> None:
    export = gave_up(status("started"), *[status("in_progress", 1)] * MAX_POLLS).export

    export = resumed(export)
    assert NextCall(FIRST_WAIT_S) == after(status("in_progress", 61), export=export)[1]
    assert UseRows(START) == after(status("finished", 62), export=export)[1]


def test_an_abandoned_running_export_loses_its_request_time() -> None:
    export = abandoned(after(status("started"))[0])

    assert not export.is_running
    assert NextCall(force=True) == after(status("finished", 20), export=export)[1]
    assert UseRows(ENDED) == after(status("in_progress", 20), status("finished", 21), export=export)[1]


def test_an_abandoned_failed_export_keeps_its_failures() -> None:
    export = gave_up(*[status("failed")] * 4).export

    assert export == abandoned(export)


def test_a_failed_export_that_the_vendor_starts_again_is_not_rebuilt_too() -> None:
    """A day later, the failure is no longer in the vendor's cache."""
    parked = gave_up(*[status("failed")] * 4).export

    again = gave_up(status("started", 1440), status("failed", 1441), export=parked)
    assert isinstance(again.error, Park)


@pytest.mark.parametrize(("state", "failure"), [("failed", "no disk"), ("finished", None)])
def test_only_an_export_that_failed_may_lack_a_licence(state: str, failure: str | None) -> None:
    statuses = [status(state, rows=False, reason="no disk")] * (len(REBUILDS_S) + 1)

    assert failure == gave_up(*statuses).failure


@pytest.mark.parametrize("first_wait_s", [FIRST_WAIT_S, 300])
def test_polls_last_about_an_hour_and_rebuilds_less(first_wait_s: float) -> None:
    export, step = advance(Export(ENDED), status("started"), first_wait_s)
    passed_s = 0.0
    for _ in range(MAX_POLLS - 1):
        assert isinstance(step, NextCall)
        passed_s += step.wait_s
        export, step = advance(export, status("in_progress", passed_s / 60), first_wait_s)

    assert timedelta(minutes=55) < timedelta(seconds=passed_s) < timedelta(minutes=75)
    assert timedelta(seconds=sum(REBUILDS_S)) < REBUILD_INTERVAL
