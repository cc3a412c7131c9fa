"""The events of a session and of its intervals, with their times."""

from typing import Any

import pytest

from collector.model import Event
from collector.vendors.seemetrix.events import TYPES, explode_session
from tests.rows import value_of
from tests.vendors.seemetrix.example import ABSENT, record

DIGEST = "0123456789abcdef0123456789abcdef"
SUBJECT = "device/5315/session/1331"
START, END = "2019-07-01T11:16:07.052Z", "2019-07-01T11:16:42.283Z"
RECORD_ID = f"seemetrix/632/session/5315/1331/{START}"
ORIGIN = {"vendor": "seemetrix", "source": "lobby"}

Encoded = tuple[str, str, str, str, str, str, dict[str, Any]]


def explode(revision: int = 0, **changes: object) -> list[Event]:
    return list(explode_session(record(**changes), DIGEST, revision, 632))


def encoded(event: Event) -> Encoded:
    """Topic, type, id, subject, time, key and decoded value."""
    value = value_of(event, "lobby")
    return event.type.topic, event.type.name, event.id, event.subject, event.time, event.key, value


def values(kind: str, events: list[Event]) -> list[dict[str, Any]]:
    return [encoded(event)[-1] for event in events if event.type.name == f"seemetrix.{kind}.v1"]


def interval(kind: str, topic: str, index: int, start: str, end: str, duration_ms: int, **own: object) -> Encoded:
    """An interval of the documented session. Its times are given in seconds of the session's minute."""
    event_id, start, end = f"{DIGEST}/{kind}/{index}", f"2019-07-01T11:16:{start}Z", f"2019-07-01T11:16:{end}Z"
    value = {
        "event_id": event_id,
        "type": f"seemetrix.{kind}.v1",
        **ORIGIN,
        "record_id": RECORD_ID,
        "revision": 0,
        "session_event_id": f"{DIGEST}/session/0",
        "device_id": 5315,
        "session_number": 1331,
        "position": index,
        "started_at": start,
        "ended_at": end,
        "duration_ms": duration_ms,
        "gender": "female",
        "age_group": "young_adult",
    }
    return topic, f"seemetrix.{kind}.v1", event_id, SUBJECT, start, "5315", value | own


def attention(index: int, start: str, end: str, duration_ms: int, *, looking: bool) -> Encoded:
    return interval("attention", "seemetrix.attention", index, start, end, duration_ms, looking=looking)


def emotion(index: int, start: str, end: str, duration_ms: int, word: str, code: int) -> Encoded:
    return interval("emotion", "seemetrix.emotions", index, start, end, duration_ms, emotion=word, emotion_code=code)


def content_view(index: int, start: str, end: str, duration_ms: int, movie_id: int) -> Encoded:
    return interval("content_view", "seemetrix.content_views", index, start, end, duration_ms, movie_id=movie_id)


THE_SESSION: Encoded = (
    "seemetrix.sessions",
    "seemetrix.session.v1",
    f"{DIGEST}/session/0",
    SUBJECT,
    START,
    "5315",
    {
        "event_id": f"{DIGEST}/session/0",
        "type": "seemetrix.session.v1",
        **ORIGIN,
        "record_id": RECORD_ID,
        "revision": 0,
        "device_id": 5315,
        "session_number": 1331,
        "started_at": START,
        "ended_at": END,
        "duration_ms": 35231,
        "attention_ms": 34187,
        "gender": "female",
        "gender_code": 0,
        "age_group": "young_adult",
        "age_code": 1,
        "attention_count": 3,
        "emotion_count": 11,
        "content_view_count": 2,
    },
)


def test_documented_session() -> None:
    assert [
        THE_SESSION,
        attention(0, "07.052", "26.386", 19334, looking=True),
        attention(1, "26.386", "27.430", 1044, looking=False),
        attention(2, "27.430", "42.283", 14853, looking=True),
        emotion(0, "07.052", "08.510", 1458, "surprised", 3),
        emotion(1, "08.510", "12.458", 3948, "happy", 1),
        emotion(2, "12.458", "13.679", 1221, "neutral", 0),
        emotion(3, "13.679", "14.957", 1278, "unknown", -1),
        emotion(4, "14.957", "23.705", 8748, "neutral", 0),
        emotion(5, "23.705", "25.033", 1328, "surprised", 3),
        emotion(6, "25.033", "27.927", 2894, "neutral", 0),
        emotion(7, "27.927", "29.173", 1246, "surprised", 3),
        emotion(8, "29.173", "35.834", 6661, "neutral", 0),
        emotion(9, "35.834", "37.854", 2020, "unknown", -1),
        emotion(10, "37.854", "42.283", 4429, "neutral", 0),
        content_view(0, "07.052", "42.283", 35231, 8482),
        content_view(1, "07.052", "42.283", 35231, 9457),
    ] == [encoded(event) for event in explode()]


def test_events_have_the_declared_types() -> None:
    events = explode()

    assert set(TYPES) == {event.type for event in events}
    for event in events:
        assert event.type.data is type(event.data)


def test_movies_start_at_their_offset_and_may_repeat() -> None:
    got = explode(v=[{"d": 5000, "i": 8482, "s": 2000}, {"d": 5000, "i": 8482, "s": 2000}, {"d": 1, "i": 0, "s": -52}])

    assert [
        content_view(0, "09.052", "14.052", 5000, 8482)[-1],
        content_view(1, "09.052", "14.052", 5000, 8482)[-1],
        content_view(2, "07.000", "07.001", 1, 0)[-1],
    ] == values("content_view", got)


@pytest.mark.parametrize("empty", [[], None, ABSENT])
def test_a_session_without_intervals_is_one_event(empty: object) -> None:
    [got] = explode(at=empty, em=empty, v=empty)

    none = {
        "attention_ms": 0 if empty == [] else None,
        "attention_count": 0,
        "emotion_count": 0,
        "content_view_count": 0,
    }
    assert THE_SESSION[-1] | none == encoded(got)[-1]


def test_an_interval_may_have_no_duration() -> None:
    got = values("attention", explode(at=[{"a": 1, "d": 0}, {"a": 1, "d": 7}, {"a": 0, "d": 0}]))

    assert [(START, START), (START, START[:-4] + "059Z"), (START[:-4] + "059Z", START[:-4] + "059Z")] == [
        (value["started_at"], value["ended_at"]) for value in got
    ]


@pytest.mark.parametrize(
    ("code", "word"),
    [(0, "female"), (1, "male"), (-1, "unknown"), (2, "unknown"), (None, "unknown")],
)
def test_genders_become_words_and_keep_their_codes(code: int | None, word: str) -> None:
    session, *parts = (encoded(event)[-1] for event in explode(s=code))

    assert (word, code) == (session["gender"], session["gender_code"])
    assert {word} == {value["gender"] for value in parts}


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (0, "child"),
        (1, "young_adult"),
        (2, "adult"),
        (3, "senior"),
        (-1, "unknown"),
        (4, "unknown"),
        (None, "unknown"),
    ],
)
def test_ages_become_words_and_keep_their_codes(code: int | None, word: str) -> None:
    session, *parts = (encoded(event)[-1] for event in explode(a=code))

    assert (word, code) == (session["age_group"], session["age_code"])
    assert {word} == {value["age_group"] for value in parts}


def test_emotions_become_words_and_keep_their_codes() -> None:
    codes = [0, 1, 2, 3, -1, 4, None]
    got = values("emotion", explode(em=[{"d": 1, "e": code} for code in codes]))

    words = ["neutral", "happy", "angry", "surprised", "unknown", "unknown", "unknown"]
    assert list(zip(words, codes, strict=True)) == [(value["emotion"], value["emotion_code"]) for value in got]


def test_missing_codes_are_unknown_and_not_zero() -> None:
    session = encoded(explode(a=ABSENT, s=ABSENT)[0])[-1]

    assert ("unknown", None, "unknown", None) == (
        session["gender"],
        session["gender_code"],
        session["age_group"],
        session["age_code"],
    )


@pytest.mark.parametrize("total", [0, 1, 35231, 10**9])
def test_the_duration_is_the_vendors(total: int) -> None:
    assert total == values("session", explode(i=total))[0]["duration_ms"]


@pytest.mark.parametrize("empty", [None, ABSENT])
def test_a_missing_duration_is_end_minus_start(empty: object) -> None:
    assert 35231 == values("session", explode(i=empty))[0]["duration_ms"]


def test_a_revision_has_its_number_and_the_same_record_id() -> None:
    first, second = (values("session", explode(revision, a=3))[0] for revision in (0, 7))

    assert [0, 7] == [first["revision"], second["revision"]]
    assert first["record_id"] == second["record_id"]
