"""Events and dead letters are valid by their schemas, and schemas follow the rules of the contract."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.exceptions import ValidationError

from collector.model import Account, DedupMode, Record, Reject, Window
from collector.pipeline.message import Origin, dead_letter_message, record_digest
from collector.schemas import event_types, json_schema
from collector.vendors.seemetrix.events import explode_session
from collector.vendors.seemetrix.wire import read
from tests.contracts.fields import fields, types_of
from tests.rows import session_rows, value_of
from tests.simulated import at
from tests.vendors.seemetrix.example import RAW_DATA

VOCABULARY = {
    "gender": {"female", "male", "unknown"},
    "age_group": {"child", "young_adult", "adult", "senior", "unknown"},
    "emotion": {"neutral", "happy", "angry", "surprised", "unknown"},
}
"""The values of enumerated fields of all vendors, by field name."""
TIME_FIELD = re.compile(r".*_(at|start|end)|watermark|final")

each_type = pytest.mark.parametrize("name", event_types())


def schema(name: str) -> dict[str, Any]:
    return json_schema(event_types()[name])


def validate(name: str, value: object) -> None:
    Draft202012Validator(schema(name), format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


def is_timestamp(field: dict[str, Any]) -> bool:
    return bool(field.get("format") == "date-time")


def example_events() -> list[tuple[str, Any]]:
    """The names of the types and the decoded values of the events of the documented session."""
    (session,) = read(session_rows(RAW_DATA))
    assert isinstance(session, Record)
    digest = record_digest(DedupMode.VERSIONED, session, 0, Account("seemetrix", "632"))
    events = explode_session(session, digest, 0, 632)
    return [(event.type.name, value_of(event)) for event in events]


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
    assert "https://json-schema.org/draft/2020-12/schema" == got["$schema"]
    assert name in got["$id"]
    assert name.lower().replace(".", "").replace("_", "") == got["title"].lower()
    assert got["description"]
    Draft202012Validator(got).validate(got["examples"][0])


@each_type
def test_the_twin_in_draft_07_accepts_and_rejects_the_same(name: str) -> None:
    twin = json_schema(event_types()[name], draft_07=True)

    Draft7Validator.check_schema(twin)
    validator, value = Draft7Validator(twin), schema(name)["examples"][0]
    validator.validate(value)
    for field in value:
        is_required = field in schema(name)["required"]
        assert is_required != validator.is_valid({each: value[each] for each in value if each != field})
        assert not validator.is_valid(value | {field: {"wrong": "type"}})
    assert "$defs" not in twin


@each_type
def test_values_start_with_the_common_fields(name: str) -> None:
    assert ["event_id", "type", "vendor", "source"] == list(schema(name)["properties"])[:4]


@each_type
def test_schemas_have_the_style_that_generators_of_code_need(name: str) -> None:
    for each in parts_of({key: value for key, value in schema(name).items() if key not in ("examples", "title")}):
        assert "title" not in each
        if "enum" in each:
            assert "string" == each["type"]
        if "integer" in (kinds := types_of(each)):
            assert "int64" == each["format"]
        assert not {"integer", "number"} <= kinds
        assert not {"integer", "string"} <= kinds
        for one in each.get("anyOf", ()):
            assert one.get("type") in (None, "null", "array"), "a nullable scalar is a list of types"


def parts_of(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Yield every schema in a schema."""
    if isinstance(part, dict):
        if "type" in part or "$ref" in part or "anyOf" in part:
            yield part
        for name, each in part.items():
            if name not in ("required", "enum"):
                yield from parts_of(each)
    elif isinstance(part, list):
        for each in part:
            yield from parts_of(each)


@each_type
def test_a_field_is_required_or_may_be_null(name: str) -> None:
    whole = schema(name)
    for part in (whole, *whole.get("$defs", {}).values()):
        optional = part.get("properties", {}).keys() - part.get("required", ())
        assert all("null" in types_of(part["properties"][field]) for field in optional)


@each_type
def test_time_fields_are_date_times_and_no_others(name: str) -> None:
    properties = schema(name)["properties"]
    expected = {field for field in properties if TIME_FIELD.fullmatch(field)}
    assert expected == {field for field, kind in properties.items() if is_timestamp(kind)}


@each_type
def test_enumerated_fields_use_the_vocabulary(name: str) -> None:
    for field, kind in fields(schema(name)):
        for each in kind.get("anyOf", [kind]):
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
    [
        ("gender", "woman"),
        ("duration_ms", "35231"),
        ("revision", -1),
        ("started_at", 1561979767052),
        ("device_id", None),
    ],
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
        "type": "seemetrix.session.v1",
        "vendor": "seemetrix",
        "source": "mall",
        "record_id": "seemetrix/632/session/5315/1331/2019-07-01T11:16:07.052Z",
        "revision": 0,
        "device_id": 5315,
        "session_number": 1331,
        "started_at": "2019-07-01T11:16:07.052Z",
        "ended_at": "2019-07-01T11:16:42.283Z",
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
