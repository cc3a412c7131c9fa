"""Viewers with contents: one event for the viewer, and one for each content."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from collector.model import Event, Record, Reject
from collector.schemas import json_schema
from collector.vendors.quividi.contents import ViewerWithContents, read_viewer_apc
from collector.vendors.quividi.events import VIEWER_APC, VIEWER_CONTENT, explode_viewer, explode_viewer_apc
from tests.rows import export_rows, value_of
from tests.vendors.quividi.example import ABSENT, APC, PARIS, record_of

DIGEST = "0123456789abcdef0123456789abcdef"

# The document's first viewer with contents; the second is `APC`.
TWO_CONTENTS = b"""{
    "beard":1, "dwell_time":29, "start_time":"2018-01-14T09:29:10", "gender":2, "age":1, "age_value":8,
    "neutral":70.19607843137254, "mustache":1, "unhappy":0.0, "attention_time":12, "location_id":38918, "glasses":1,
    "very_unhappy":0.0, "very_happy":9.803921568627452,
    "contents":[
        {
            "campaign_id":null, "dwell_time":928, "unhappy_time":0, "happy_time":0, "very_happy_time":0,
            "app_id":"my_app_id", "very_unhappy_time":0, "attention_time":192,
            "content_id":"my_very_own_content_id", "neutral_time":192
        },
        {
            "campaign_id":"A campaign id", "dwell_time":925, "unhappy_time":0, "happy_time":0, "very_happy_time":0,
            "app_id":"my_app_id", "very_unhappy_time":0, "attention_time":925, "content_id":"another_content_id",
            "neutral_time":925
        }
    ],
    "happy":20.0
}"""
APC_RESPONSE = b'{"state":"finished", "data":[%b, %b], "creation_date":"2018-01-29 09:56:11"}' % (TWO_CONTENTS, APC)

NO_MOOD_MS = {"very_happy": 0, "happy": 0, "neutral": 0, "unhappy": 0, "very_unhappy": 0}
CONTENT = {"type": "quividi.viewer_content.v1", "vendor": "quividi", "source": "mall"}
COMMON_TO_CONTENTS = {
    **CONTENT,
    "record_id": "quividi/acme/viewer_apc/38918/2018-01-14T09:29:10/2-1-2900-1200/0",
    "viewer_event_id": f"{DIGEST}/viewer_apc/0",
    "location_id": 38918,
    "started_at": "2018-01-14T08:29:10.000Z",
    "started_local": "2018-01-14T09:29:10",
    "utc_offset_s": 3600,
    "ambiguous": False,
    "app_id": "my_app_id",
    "gender": "female",
    "age_group": "child",
}
FIRST_EVENTS = [
    {
        "event_id": f"{DIGEST}/viewer_apc/0",
        "type": "quividi.viewer_apc.v1",
        "vendor": "quividi",
        "source": "mall",
        "record_id": "quividi/acme/viewer_apc/38918/2018-01-14T09:29:10/2-1-2900-1200/0",
        "location_id": 38918,
        "started_at": "2018-01-14T08:29:10.000Z",
        "started_local": "2018-01-14T09:29:10",
        "utc_offset_s": 3600,
        "ambiguous": False,
        "ended_at": "2018-01-14T08:29:12.900Z",
        "dwell_ms": 2900,
        "attention_ms": 1200,
        "gender": "female",
        "gender_code": 2,
        "age_group": "child",
        "age_code": 1,
        "age_years": 8,
        "mood": {
            "very_happy": 9.803921568627452,
            "happy": 20.0,
            "neutral": 70.19607843137254,
            "unhappy": 0.0,
            "very_unhappy": 0.0,
        },
        "glasses": "none",
        "mustache": "none",
        "beard": "none",
        "vr_id": None,
        "footfall_id": None,
        "footfall_started_at": None,
        "occurrence": 0,
        "content_count": 2,
    },
    {
        **COMMON_TO_CONTENTS,
        "event_id": f"{DIGEST}/viewer_content/0",
        "position": 0,
        "content_id": "my_very_own_content_id",
        "campaign_id": None,
        "dwell_ms": 928,
        "attention_ms": 192,
        "mood_ms": {**NO_MOOD_MS, "neutral": 192},
    },
    {
        **COMMON_TO_CONTENTS,
        "event_id": f"{DIGEST}/viewer_content/1",
        "position": 1,
        "content_id": "another_content_id",
        "campaign_id": "A campaign id",
        "dwell_ms": 925,
        "attention_ms": 925,
        "mood_ms": {**NO_MOOD_MS, "neutral": 925},
    },
]


def record(raw: bytes) -> Record[ViewerWithContents]:
    got = read_viewer_apc(raw, PARIS)
    assert isinstance(got, Record), got
    return got


def value(event: Event) -> dict[str, Any]:
    """The decoded value. Fails if it is not valid by its schema."""
    got: dict[str, Any] = value_of(event)
    schema = json_schema(event.type)
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(got)
    return got


def exploded(raw: bytes, occurrence: int = 0) -> list[Event]:
    return list(explode_viewer_apc(record(raw), DIGEST, occurrence, "acme"))


def viewer(**changes: object) -> bytes:
    """The first viewer with changed fields."""
    fields = msgspec.json.decode(TWO_CONTENTS) | changes
    return msgspec.json.encode({name: each for name, each in fields.items() if each is not ABSENT})


def content(**changes: object) -> bytes:
    """The first viewer with only its first content, with changed fields."""
    fields = msgspec.json.decode(TWO_CONTENTS)["contents"][0] | changes
    return viewer(contents=[{name: each for name, each in fields.items() if each is not ABSENT}])


def event_value(**changes: object) -> dict[str, Any]:
    [_, event] = exploded(content(**changes))
    return value(event)


def test_documented_first_viewer_with_two_contents() -> None:
    got = exploded(TWO_CONTENTS)

    assert FIRST_EVENTS == [value(event) for event in got]
    assert [
        ("quividi.viewers_apc", "quividi.viewer_apc.v1", f"location/38918/viewer_apc/{DIGEST}"),
        ("quividi.viewer_contents", "quividi.viewer_content.v1", f"location/38918/viewer_apc/{DIGEST}/content/0"),
        ("quividi.viewer_contents", "quividi.viewer_content.v1", f"location/38918/viewer_apc/{DIGEST}/content/1"),
    ] == [(event.type.topic, event.type.name, event.subject) for event in got]
    assert {("38918", "2018-01-14T08:29:10.000Z")} == {(event.key, event.time) for event in got}
    assert [event.id for event in got] == [value(event)["event_id"] for event in got]


def test_documented_second_viewer_with_attention_above_dwell() -> None:
    whole, played = (value(event) for event in exploded(APC))

    record_id = "quividi/acme/viewer_apc/38918/2018-01-14T09:21:54/2-3-1000-500/0"
    expected = {"record_id": record_id, "age_years": 40, "content_count": 1}
    assert expected.items() <= whole.items()
    assert {
        **CONTENT,
        "event_id": f"{DIGEST}/viewer_content/0",
        "record_id": record_id,
        "viewer_event_id": f"{DIGEST}/viewer_apc/0",
        "location_id": 38918,
        "position": 0,
        "started_at": "2018-01-14T08:21:54.000Z",
        "started_local": "2018-01-14T09:21:54",
        "utc_offset_s": 3600,
        "ambiguous": False,
        "content_id": "my_very_own_content_id",
        "campaign_id": None,
        "app_id": "my_app_id",
        "dwell_ms": 15,
        "attention_ms": 542,
        "mood_ms": {**NO_MOOD_MS, "happy": 542},
        "gender": "female",
        "age_group": "adult",
    } == played


def test_the_documented_response_has_two_viewers() -> None:
    raw = export_rows(APC_RESPONSE) or ()

    got = [read_viewer_apc(row, PARIS) for row in raw]
    assert [2, 1] == [len(one.payload.contents) for one in got if isinstance(one, Record)]


def test_keys_and_types_differ_from_those_of_viewers_without_contents() -> None:
    apc, plain = record(TWO_CONTENTS), record_of(TWO_CONTENTS)

    assert (apc.start_ms, apc.end_ms, apc.vendor_local_s) == (plain.start_ms, plain.end_ms, plain.vendor_local_s)
    assert apc.key != plain.key
    [event] = explode_viewer(plain, DIGEST, 0, "acme")
    assert (VIEWER_APC, VIEWER_CONTENT, VIEWER_CONTENT) == tuple(each.type for each in exploded(TWO_CONTENTS))
    assert event.id not in {each.id for each in exploded(TWO_CONTENTS)}
    expected = value(event) | {"event_id": f"{DIGEST}/viewer_apc/0", "type": VIEWER_APC.name, "content_count": 2}
    expected["record_id"] = expected["record_id"].replace("/viewer/", "/viewer_apc/")
    assert expected == value(exploded(TWO_CONTENTS)[0])


def test_the_start_may_be_named_period_start() -> None:
    renamed = viewer(start_time=ABSENT, period_start="2018-01-14 09:29:10")

    assert record(TWO_CONTENTS).key == record(renamed).key


def test_times_of_contents_are_milliseconds_under_old_and_new_names() -> None:
    new = {"dwell_time_in_milliseconds": 928, "attention_time_in_milliseconds": 192.0}
    renamed = content(dwell_time=ABSENT, attention_time=ABSENT, **new)

    assert record(content()).fingerprint == record(renamed).fingerprint
    assert (928, 192) == (event_value(**new)["dwell_ms"], event_value(**new)["attention_ms"])
    assert 0 == event_value(dwell_time_in_milliseconds=0)["dwell_ms"]


def test_missing_fields_of_a_content_are_null() -> None:
    names = ("dwell_time", "attention_time", "campaign_id", "app_id")
    moods = ("very_happy_time", "happy_time", "neutral_time", "unhappy_time", "very_unhappy_time")
    for empty in (None, ABSENT):
        got = event_value(**dict.fromkeys(names, None) | dict.fromkeys(["campaign_id", "app_id", *moods], empty))
        assert [None] * 5 == [got[name] for name in ("dwell_ms", "attention_ms", "campaign_id", "app_id", "mood_ms")]
    assert {**dict.fromkeys(NO_MOOD_MS), "happy": 0} == event_value(**dict.fromkeys(moods, None) | {"happy_time": 0})[
        "mood_ms"
    ]


def test_numeric_ids_are_strings() -> None:
    got = event_value(content_id=8001, campaign_id=7, app_id=0)

    assert ("8001", "7", "0") == (got["content_id"], got["campaign_id"], got["app_id"])
    assert record(content(content_id=8001)).fingerprint == record(content(content_id="8001")).fingerprint


def test_contents_are_part_of_the_fingerprint_but_not_of_the_key() -> None:
    one, other = record(content()), record(content(content_id="another"))

    assert one.key == other.key
    assert one.fingerprint != other.fingerprint
    assert 3 == value(exploded(TWO_CONTENTS, occurrence=3)[0])["occurrence"]


def test_a_viewer_without_contents_is_an_event() -> None:
    for empty in (None, list[object]()):
        [event] = exploded(viewer(contents=empty))
        assert 0 == value(event)["content_count"]


def test_a_placeholder_is_dropped_unless_it_has_contents() -> None:
    placeholder = dict.fromkeys(("gender", "age", "dwell_time", "attention_time"))

    assert read_viewer_apc(viewer(**placeholder, contents=[]), PARIS) is None
    got = read_viewer_apc(viewer(**placeholder), PARIS)
    assert isinstance(got, Reject)
    assert "38918" == got.key


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"content_id": ABSENT}, "`content_id` - at `$.contents[0]`"),
        ({"content_id": None}, "$.contents[0].content_id"),
        ({"content_id": 1.5}, "$.contents[0].content_id"),
        ({"dwell_time": -1}, "$.contents[0].dwell_time"),
        ({"dwell_time": "928"}, "$.contents[0].dwell_time"),
        ({"dwell_time": ABSENT, "attention_time": ABSENT}, "$.contents"),
    ],
)
def test_an_invalid_content_is_a_reject_with_its_path(changes: dict[str, object], place: str) -> None:
    got = read_viewer_apc(content(**changes), PARIS)

    assert isinstance(got, Reject)
    assert place in got.error
    assert "38918" == got.key


@pytest.mark.parametrize(("name", "value"), [("happy_time", []), ("campaign_id", {}), ("app_id", 1.5)])
def test_a_side_field_of_a_content_that_cannot_be_understood_is_null_and_counted(name: str, value: object) -> None:
    ignored = Counter[str]()
    got = read_viewer_apc(content(**{name: value}), PARIS, ignored)

    assert isinstance(got, Record)
    assert record(content(**{name: None})).fingerprint == got.fingerprint
    assert {name: 1} == ignored


@pytest.mark.parametrize(
    "raw",
    [b"null", b"[]", b"1", viewer(contents="none"), viewer(contents=ABSENT), viewer(start_time="never")],
)
def test_a_malformed_row_is_a_reject(raw: bytes) -> None:
    assert isinstance(read_viewer_apc(raw, PARIS), Reject)
