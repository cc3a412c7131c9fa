"""Whatever happens at the vendor: no export is forced twice in a row, or taken for newer than it is."""

from datetime import datetime, timedelta
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from collector.vendors.quividi.export import Call, Export, ExportStatus, GaveUp, Take, abandoned, advance
from tests.simulated import START

ENDED = START - timedelta(minutes=45)
"""When the window came to its end: nobody asked for it earlier."""

Does = Literal["nothing", "finishes", "fails", "forgets", "is asked by another", "is forced by another"]


class Moment(Struct, frozen=True):
    """What happens at the vendor before a call, and to the call."""

    passes_s: int
    does: Does
    call: Literal["heard", "answer lost", "not understood"]
    """The vendor may hear the call without our hearing the vendor, or do nothing and say something else."""
    restarts: bool
    """The collector dies, and knows nothing any more."""


class Model:
    """The vendor as its document describes it: one export, begun at one moment out of what is known then."""

    def __init__(self, now: datetime, began: datetime | None, state: str) -> None:
        self.now = now
        self.began = began
        self.state = state

    def happens(self, moment: Moment) -> None:
        self.now += timedelta(seconds=moment.passes_s)
        match moment.does:
            case "finishes" if self.state == "in_progress":
                self.state = "finished"
            case "fails" if self.state == "in_progress":
                self.state = "failed"
            case "forgets":
                self.state = "none" if self.state in ("finished", "failed") else self.state
            case "is asked by another":
                self.call(force=False)
            case "is forced by another":
                self.call(force=True)
            case _:
                pass

    def call(self, *, force: bool) -> str:
        if force or self.state == "none":
            self.began, self.state = self.now, "in_progress"
            return "started"
        return self.state


moments = st.builds(
    Moment,
    st.integers(0, 4000),
    st.sampled_from(
        ["nothing", "finishes", "finishes", "fails", "forgets", "is asked by another", "is forced by another"]
    ),
    st.sampled_from(["heard"] * 6 + ["answer lost", "not understood"]),
    st.sampled_from([False] * 7 + [True]),
)


@settings(max_examples=500)
@given(
    st.sampled_from(["none", "in_progress", "finished", "failed"]),
    st.integers(0, 2700),
    st.lists(moments, max_size=30),
)
def test_whatever_the_vendor_does_nothing_is_forced_twice_in_a_row_or_taken_for_newer_than_it_is(
    state: str, began_s: int, story: list[Moment]
) -> None:
    # One that is in progress was begun after the window's end; one that is over may be as old as the vendor's cache.
    began = ENDED + timedelta(seconds=began_s) if state == "in_progress" else ENDED - timedelta(hours=23)
    vendor = Model(START, began, state)
    export, call, told_since_forced = Export(ENDED), Call(), True
    for moment in story:
        vendor.happens(moment)
        if moment.restarts:
            export, call = Export(ENDED), Call()
        if call == Call() and moment.passes_s > 600:
            export = abandoned(export)
        assert told_since_forced or not call.force
        answer = "maintenance" if moment.call == "not understood" else vendor.call(force=call.force)
        told_since_forced = not call.force and (told_since_forced or answer in ("finished", "failed"))
        if moment.call == "answer lost":
            call = Call()
            continue
        try:
            export, step = advance(export, ExportStatus(answer, vendor.now, call.force, answer == "finished"))
        except GaveUp as given_up:
            export, call = given_up.export, Call()
            continue
        if isinstance(step, Take):
            assert vendor.began is not None
            assert step.requested_at <= vendor.began
            export, call = Export(ENDED), Call()
        else:
            call = step
