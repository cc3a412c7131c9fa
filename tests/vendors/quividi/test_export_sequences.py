"""For any sequence of events at the vendor, no rebuild is forced twice in a row, and no age is overstated."""

from datetime import datetime, timedelta
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from collector.vendors.quividi.export import Export, ExportStatus, GaveUp, NextCall, UseRows, abandoned, advance
from tests.simulated import START

ENDED = START - timedelta(minutes=45)
"""The end of the window: no request for it was earlier."""

Change = Literal["none", "finishes", "fails", "expires", "requested by another", "forced by another"]


class Event(Struct, frozen=True):
    """What happens at the vendor before a call, and to the call."""

    passes_s: int
    change: Change
    call: Literal["ok", "response lost", "undocumented response"]
    """The vendor may receive the call although its response is lost, or ignore it with an undocumented response."""
    restarts: bool
    """The collector restarts without any state."""


class Model:
    """The documented vendor: one export, which contains the data at its start."""

    def __init__(self, now: datetime, started_at: datetime | None, state: str) -> None:
        self.now = now
        self.started_at = started_at
        self.state = state

    def apply(self, event: Event) -> None:
        self.now += timedelta(seconds=event.passes_s)
        match event.change:
            case "finishes" if self.state == "in_progress":
                self.state = "finished"
            case "fails" if self.state == "in_progress":
                self.state = "failed"
            case "expires":
                self.state = "none" if self.state in ("finished", "failed") else self.state
            case "requested by another":
                self.call(force=False)
            case "forced by another":
                self.call(force=True)
            case _:
                pass

    def call(self, *, force: bool) -> str:
        if force or self.state == "none":
            self.started_at, self.state = self.now, "in_progress"
            return "started"
        return self.state


events = st.builds(
    Event,
    st.integers(0, 4000),
    st.sampled_from(["none", "finishes", "finishes", "fails", "expires", "requested by another", "forced by another"]),
    st.sampled_from(["ok"] * 6 + ["response lost", "undocumented response"]),
    st.sampled_from([False] * 7 + [True]),
)


@settings(max_examples=500)
@given(
    st.sampled_from(["none", "in_progress", "finished", "failed"]),
    st.integers(0, 2700),
    st.lists(events, max_size=30),
)
def test_no_sequence_forces_two_rebuilds_in_a_row_or_overstates_the_age(
    state: str, started_s: int, sequence: list[Event]
) -> None:
    # An export in progress started after the window's end; a finished one may be as old as the vendor's cache.
    started_at = ENDED + timedelta(seconds=started_s) if state == "in_progress" else ENDED - timedelta(hours=23)
    vendor = Model(START, started_at, state)
    export, call, reported_since_forced = Export(ENDED), NextCall(), True
    for event in sequence:
        vendor.apply(event)
        if event.restarts:
            export, call = Export(ENDED), NextCall()
        if call == NextCall() and event.passes_s > 600:
            export = abandoned(export)
        assert reported_since_forced or not call.force
        state = "maintenance" if event.call == "undocumented response" else vendor.call(force=call.force)
        reported_since_forced = not call.force and (reported_since_forced or state in ("finished", "failed"))
        if event.call == "response lost":
            call = NextCall()
            continue
        try:
            export, step = advance(export, ExportStatus(state, vendor.now, call.force, state == "finished"))
        except GaveUp as given_up:
            export, call = given_up.export, NextCall()
            continue
        if isinstance(step, UseRows):
            assert vendor.started_at is not None
            assert step.requested_at <= vendor.started_at
            export, call = Export(ENDED), NextCall()
        else:
            call = step
