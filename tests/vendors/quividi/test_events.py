"""The event of a viewer."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from jsonschema import Draft202012Validator

from collector.model import Event
from collector.schemas import json_schema
from collector.vendors.quividi.events import VIEWER, explode_viewer
from tests.rows import value_of
from tests.vendors.quividi.example import ABSENT, APC, EXPERT, PARIS, PRO, record_of, row

DIGEST = "0123456789abcdef0123456789abcdef"
SCHEMA = Draft202012Validator(json_schema(VIEWER), format_checker=Draft202012Validator.FORMAT_CHECKER)

THE_PRO_VIEWER = {
    "event_id": f"{DIGEST}/viewer/0",
    "type": "quividi.viewer.v1",
    "vendor": "quividi",
    "source": "mall",
    "record_id": "quividi/acme/viewer/8264/2018-01-29T00:00:27/1-3-4100-1600/0",
    "location_id": 8264,
    "started_at": "2018-01-28T23:00:27.000Z",
    "started_local": "2018-01-29T00:00:27",
    "utc_offset_s": 3600,
    "ambiguous": False,
    "ended_at": "2018-01-28T23:00:31.100Z",
    "dwell_ms": 4100,
    "attention_ms": 1600,
    "gender": "male",
    "gender_code": 1,
    "age_group": "adult",
    "age_code": 3,
    "age_years": None,
    "mood": None,
    "glasses": None,
    "mustache": None,
    "beard": None,
    "vr_id": None,
    "footfall_id": None,
    "footfall_started_at": None,
    "occurrence": 0,
}

THE_EXPERT_VIEWER = {
    "event_id": f"{DIGEST}/viewer/0",
    "type": "quividi.viewer.v1",
    "vendor": "quividi",
    "source": "mall",
    "record_id": "quividi/acme/viewer/8866/2018-01-29T00:25:18/1-3-3700-300/0",
    "location_id": 8866,
    "started_at": "2018-01-28T23:25:18.000Z",
    "started_local": "2018-01-29T00:25:18",
    "utc_offset_s": 3600,
    "ambiguous": False,
    "ended_at": "2018-01-28T23:25:21.700Z",
    "dwell_ms": 3700,
    "attention_ms": 300,
    "gender": "male",
    "gender_code": 1,
    "age_group": "adult",
    "age_code": 3,
    "age_years": 57,
    "mood": {
        "very_happy": 0.0,
        "happy": 49.80392156862745,
        "neutral": 0.39215686274509665,
        "unhappy": 49.80392156862745,
        "very_unhappy": 0.0,
    },
    "glasses": "sunglasses",
    "mustache": "mustache",
    "beard": "beard",
    "vr_id": None,
    "footfall_id": None,
    "footfall_started_at": None,
    "occurrence": 0,
}


def exploded(raw: bytes, zone: ZoneInfo = PARIS) -> Event:
    [event] = explode_viewer(record_of(raw, zone), DIGEST, 0, "acme")
    return event


def value(event: Event) -> dict[str, Any]:
    """The decoded value. Fails if it is not valid by its schema."""
    got: dict[str, Any] = value_of(event)
    SCHEMA.validate(got)
    return got


def viewer(**changes: object) -> dict[str, Any]:
    return value(exploded(row(**changes)))


def test_documented_pro_viewer() -> None:
    got = exploded(PRO[0])

    assert ("quividi.viewers", "quividi.viewer.v1") == (got.type.topic, got.type.name)
    assert (f"{DIGEST}/viewer/0", f"location/8264/viewer/{DIGEST}") == (got.id, got.subject)
    assert ("2018-01-28T23:00:27.000Z", "8264") == (got.time, got.key)
    assert THE_PRO_VIEWER == value(got)


def test_documented_expert_viewer() -> None:
    got = exploded(EXPERT[1])

    assert ("2018-01-28T23:25:18.000Z", "8866") == (got.time, got.key)
    assert THE_EXPERT_VIEWER == value(got)


def test_other_documented_viewers() -> None:
    assert {"attention_ms": 3900, "age_group": "young_adult"}.items() <= value(exploded(PRO[1])).items()
    expected = {"gender": "female", "age_years": 19, "glasses": "none", "mustache": "none", "beard": "none"}
    assert expected.items() <= value(exploded(EXPERT[0])).items()
    assert {"location_id": 38918, "started_local": "2018-01-14T09:21:54"}.items() <= value(exploded(APC)).items()


def test_a_viewers_event_has_the_declared_type() -> None:
    got = exploded(EXPERT[0])

    assert VIEWER is got.type
    assert VIEWER.data is type(got.data)


@pytest.mark.parametrize(
    ("code", "word"), [(0, "unknown"), (1, "male"), (2, "female"), (3, "unknown"), (-1, "unknown"), (None, "unknown")]
)
def test_genders_become_words_and_keep_their_codes(code: int | None, word: str) -> None:
    got = viewer(gender=code)

    assert (word, code) == (got["gender"], got["gender_code"])


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (0, "unknown"),
        (1, "child"),
        (2, "young_adult"),
        (3, "adult"),
        (4, "senior"),
        (5, "unknown"),
        (-1, "unknown"),
        (None, "unknown"),
    ],
)
def test_ages_become_words_and_keep_their_codes(code: int | None, word: str) -> None:
    got = viewer(age=code)

    assert (word, code) == (got["age_group"], got["age_code"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("glasses", ["unknown", "none", "glasses", "sunglasses", "unknown"]),
        ("mustache", ["unknown", "none", "mustache", "unknown"]),
        ("beard", ["unknown", "none", "beard", "unknown"]),
    ],
)
def test_glasses_mustache_and_beard_become_words_or_null(name: str, words: list[str]) -> None:
    assert words == [viewer(**{name: code})[name] for code in range(len(words))]
    assert [None, None, "unknown"] == [viewer(**{name: code})[name] for code in (None, ABSENT, -1)]


def test_missing_measurements_are_null_and_not_zero() -> None:
    nulls = dict.fromkeys(("gender", "age", "attention_time", "very_unhappy"))
    got = viewer(**nulls, **dict.fromkeys(("age_value", "happy", "neutral", "very_happy", "unhappy"), ABSENT))

    assert (None, None, None, None, None) == (
        got["gender_code"],
        got["age_code"],
        got["attention_ms"],
        got["age_years"],
        got["mood"],
    )
    assert "quividi/acme/viewer/8866/2018-01-29T01:28:52/--2400-/0" == got["record_id"]


def test_a_partial_mood_keeps_nulls_and_a_zero_mood_is_kept() -> None:
    names = ("very_happy", "happy", "neutral", "unhappy", "very_unhappy")

    assert dict.fromkeys(names) | {"happy": 0.0} == viewer(**(dict.fromkeys(names) | {"happy": 0.0}))["mood"]
    assert dict.fromkeys(names, 0.0) == viewer(**dict.fromkeys(names, 0.0))["mood"]


def test_without_a_dwell_time_the_end_is_null() -> None:
    got = viewer(dwell_time=None)

    assert (None, None) == (got["dwell_ms"], got["ended_at"])


def test_fields_of_the_newer_api_are_passed_on() -> None:
    got = viewer(vr_id=17, footfall_id="f-4", footfall_start="2018-01-29 01:28:50")

    assert ("17", "f-4", "2018-01-29T00:28:50.000Z") == (got["vr_id"], got["footfall_id"], got["footfall_started_at"])


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("2018-01-29 01:28:52", "2018-01-29T01:28:52"),
        ("2018-01-29T01:28:52.000000", "2018-01-29T01:28:52"),
        ("2018-01-29 01:28", "2018-01-29T01:28:00"),
        ("2018-01-29T01:28:52.5", "2018-01-29T01:28:52.500"),
    ],
)
def test_local_times_have_one_form(text: str, normal: str) -> None:
    got = viewer(period_start=text)

    assert (f"quividi/acme/viewer/8866/{normal}/2-2-2400-800/0", normal) == (got["record_id"], got["started_local"])


@pytest.mark.parametrize("form", ["19", "19.0", "1.9e1", "19.000"])
@pytest.mark.parametrize("other", [b"", b', "unread":NaN'])
def test_numbers_that_differ_only_in_form_make_equal_events(form: str, other: bytes) -> None:
    raw = row(age_value=19, happy=19)
    changed = raw.replace(b":19", b":" + form.encode())[:-1] + other + b"}"

    assert raw != changed or form == "19"
    assert exploded(raw) == exploded(changed)
    assert msgspec.json.encode(exploded(raw).data) == msgspec.json.encode(exploded(changed).data)


@pytest.mark.parametrize(
    ("zone", "local", "start", "offset_s", "ambiguous"),
    [
        ("Europe/Paris", "2026-10-25T02:30:00", "2026-10-25T00:30:00.000Z", 7200, True),
        ("Europe/Paris", "2026-10-25T03:00:00", "2026-10-25T02:00:00.000Z", 3600, False),
        ("Europe/Paris", "2026-03-29T02:30:00", "2026-03-29T01:30:00.000Z", 3600, False),
        ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00.000Z", -14400, True),
        ("Asia/Kathmandu", "2026-11-01T01:30:00", "2026-10-31T19:45:00.000Z", 20700, False),
        ("UTC", "2026-11-01T01:30:00", "2026-11-01T01:30:00.000Z", 0, False),
    ],
)
def test_start_is_in_utc_with_offset_and_ambiguity(
    zone: str, local: str, start: str, offset_s: int, ambiguous: bool
) -> None:
    got = value(exploded(row(period_start=local), ZoneInfo(zone)))

    assert (start, local) == (got["started_at"], got["started_local"])
    assert (offset_s, ambiguous) == (got["utc_offset_s"], got["ambiguous"])
