"""Events and dead letters are valid by their schemas, and schemas follow the rules of the contract."""

import re
from collections import Counter
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from collector.commands.schema import event_types, json_schema
from collector.model import Account, DedupMode, Record, Reject, Window
from collector.pipeline.message import Origin, dead_letter_message, record_digest
from collector.vendors.seemetrix.events import explode_session
from collector.vendors.seemetrix.wire import read
from tests.rows import session_rows
from tests.simulated import at
from tests.vendors.seemetrix.example import RAW_DATA

VOCABULARY = {
    "gender": {"female", "male", "unknown"},
    "age_group": {"child", "young_adult", "adult", "senior", "unknown"},
    "emotion": {"neutral", "happy", "angry", "surprised", "unknown"},
}
"""The values of enumerated fields of all vendors, by field name."""
TIME_FIELD = re.compile(r"(.*_)?(start|end|at|created|modified)")

each_type = pytest.mark.parametrize("name", event_types())


def schema(name: str) -> dict[str, Any]:
    return json_schema(event_types()[name])


def validate(name: str, value: object) -> None:
    Draft202012Validator(schema(name), format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


def alternatives(field: dict[str, Any]) -> list[dict[str, Any]]:
    """The alternative schemas of a field."""
    found: list[dict[str, Any]] = field.get("anyOf", [field])
    return found


def is_timestamp(field: dict[str, Any]) -> bool:
    return any(each.get("format") == "date-time" for each in alternatives(field))


def example_events() -> list[tuple[str, Any]]:
    """The names of the types and the decoded values of the events of the documented session."""
    (session,) = read(session_rows(RAW_DATA))
    assert isinstance(session, Record)
    digest = record_digest(DedupMode.VERSIONED, session, 0, Account("seemetrix", "632"))
    events = explode_session(session, digest, 0, "mall", 632)
    return [(event.type.name, msgspec.json.decode(msgspec.json.encode(event.data))) for event in events]


def dead_letter() -> Any:  # noqa: ANN401 - JSON
    window = Window(at(1_561_979_700), at(1_561_980_600))
    origin = Origin(Account("seemetrix", "632"), "mall", "sessions")
    reject = Reject(b'{"d": 5315}', "Object missing required field `o`", "5315")
    message = dead_letter_message(reject, origin, window=window, seen_at=at(1_561_981_000), reason="malformed")
    return msgspec.json.decode(message.value)


@each_type
def test_a_schema_is_valid_and_names_its_type(name: str) -> None:
    got = schema(name)

    Draft202012Validator.check_schema(got)
    assert (got["$schema"], got["title"]) == ("https://json-schema.org/draft/2020-12/schema", name)
    assert name in got["$id"]
    assert got["description"]


@each_type
def test_every_field_is_required(name: str) -> None:
    whole = schema(name)
    for part in (whole, *whole.get("$defs", {}).values()):
        assert list(part["properties"]) == part["required"]


@each_type
def test_time_fields_are_date_times_and_no_others(name: str) -> None:
    properties = schema(name)["properties"]
    expected = {field for field in properties if TIME_FIELD.fullmatch(field)}
    assert expected == {field for field, kind in properties.items() if is_timestamp(kind)}


@each_type
def test_enumerated_fields_use_the_vocabulary(name: str) -> None:
    for field, kind in schema(name)["properties"].items():
        for each in alternatives(kind):
            if field in VOCABULARY and "enum" in each:
                assert VOCABULARY[field] == set(each["enum"])


def test_events_of_the_documented_session_are_valid() -> None:
    events = example_events()

    expected = {
        "seemetrix.session.v1": 1,
        "seemetrix.attention.v1": 3,
        "seemetrix.emotion.v1": 11,
        "seemetrix.content_view.v1": 2,
    }
    assert expected == Counter(name for name, _ in events)
    for name, value in events:
        validate(name, value)


def test_a_dead_letter_is_valid() -> None:
    validate("collector.dead_letter.v1", dead_letter())


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("gender", "woman"), ("duration_ms", "35231"), ("revision", -1), ("start", 1561979767052), ("device_id", None)],
)
def test_a_schema_rejects_invalid_values(field: str, wrong: object) -> None:
    _, session = example_events()[0]

    with pytest.raises(ValidationError):
        validate("seemetrix.session.v1", session | {field: wrong})


def test_a_schema_requires_every_field_and_accepts_more() -> None:
    _, session = example_events()[0]

    validate("seemetrix.session.v1", session | {"added_in_a_later_release": 1})
    for field in session:
        with pytest.raises(ValidationError):
            validate("seemetrix.session.v1", {name: value for name, value in session.items() if name != field})


def test_documented_session() -> None:
    _, session = example_events()[0]

    digest = session["event_id"].partition("/")[0]
    assert 32 == len(digest) == len(bytes.fromhex(digest)) * 2
    assert session == {
        "event_id": f"{digest}/session/0",
        "record_id": "632/5315/1331/2019-07-01T11:16:07.052Z",
        "revision": 0,
        "source": "mall",
        "device_id": 5315,
        "session_number": 1331,
        "start": "2019-07-01T11:16:07.052Z",
        "end": "2019-07-01T11:16:42.283Z",
        "duration_ms": 35_231,
        "attention_ms": 34_187,
        "gender": "female",
        "gender_code": 0,
        "age_group": "young_adult",
        "age_code": 1,
        "attention_count": 3,
        "emotion_count": 11,
        "content_view_count": 2,
    }
