"""For any durations, intervals follow each other without gaps, and nothing is lost or counted twice."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collector.model import Event
from collector.vendors.seemetrix.events import explode_session
from tests.rows import value_of
from tests.vendors.seemetrix.example import record

MILLISECOND = timedelta(milliseconds=1)
LONG_MS = 10 * 366 * 86_400_000
DURATIONS = st.integers(0, 100_000) | st.integers(0, LONG_MS)

SESSIONS = st.fixed_dictionaries(
    {
        "b": st.datetimes(datetime(1000, 1, 1), datetime(3000, 1, 1)).map(datetime.isoformat),  # noqa: DTZ001 - as sent
        "at": st.lists(st.fixed_dictionaries({"a": st.integers(0, 1), "d": DURATIONS})),
        "em": st.lists(st.fixed_dictionaries({"d": DURATIONS, "e": st.integers(-2, 5)})),
        "v": st.lists(
            st.fixed_dictionaries({"d": DURATIONS, "i": st.integers(0, 3), "s": st.integers(-LONG_MS, LONG_MS)})
        ),
    }
)
Sent = dict[str, Any]


def explode(session: Sent) -> list[Event]:
    return list(explode_session(record(**session), "f" * 32, 0, 632))


def values(kind: str, events: list[Event]) -> list[Sent]:
    return [value_of(event) for event in events if event.type.name == f"seemetrix.{kind}.v1"]


def at(value: Sent, name: str) -> datetime:
    return datetime.fromisoformat(value[name])


@given(SESSIONS)
def test_intervals_follow_each_other_from_the_start_of_the_session(session: Sent) -> None:
    events = explode(session)
    [session_event] = values("session", events)

    for kind, name in (("attention", "at"), ("emotion", "em")):
        parts = values(kind, events)
        ends = [at(session_event, "started_at"), *(at(part, "ended_at") for part in parts)]
        assert ends[:-1] == [at(part, "started_at") for part in parts]
        assert sum(sent["d"] for sent in session[name]) == (ends[-1] - ends[0]) // MILLISECOND


@given(SESSIONS)
def test_every_interval_has_the_vendors_duration(session: Sent) -> None:
    events = explode(session)

    for kind, name in (("attention", "at"), ("emotion", "em"), ("content_view", "v")):
        parts = values(kind, events)
        durations = [sent["d"] for sent in session[name]]
        assert durations == [part["duration_ms"] for part in parts]
        assert durations == [(at(part, "ended_at") - at(part, "started_at")) // MILLISECOND for part in parts]


@given(SESSIONS)
def test_movies_start_at_the_vendors_offset(session: Sent) -> None:
    events = explode(session)
    [session_event] = values("session", events)

    got = [
        (at(part, "started_at") - at(session_event, "started_at")) // MILLISECOND
        for part in values("content_view", events)
    ]
    assert [sent["s"] for sent in session["v"]] == got


@given(SESSIONS)
def test_the_session_counts_its_intervals_and_attention(session: Sent) -> None:
    events = explode(session)
    [session_event] = values("session", events)
    attention_ms = [part["duration_ms"] for part in values("attention", events) if part["looking"]]

    assert sum(attention_ms) == session_event["attention_ms"]
    assert sum(sent["d"] for sent in session["at"] if sent["a"] == 1) == session_event["attention_ms"]
    for kind in ("attention", "emotion", "content_view"):
        assert list(range(session_event[f"{kind}_count"])) == [part["position"] for part in values(kind, events)]


@given(SESSIONS)
def test_ids_are_unique_and_reproducible(session: Sent) -> None:
    events = explode(session)

    assert len(events) == len({event.id for event in events})
    assert explode(session) == events
    for event in events:
        assert event.id == value_of(event)["event_id"]
        assert event.time == value_of(event)["started_at"]
