"""The contract with the consumers: what a value holds, and that its schema says so."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from collector.commands.schema import event_types, json_schema
from collector.model import Memory, Record, Reject, Window
from collector.pipeline.message import Origin, of_reject, record_digest
from collector.vendors.seemetrix.events import explode_session
from collector.vendors.seemetrix.wire import read, rows
from tests.simulated import at

# The vendor's document, "Raw data", without its comments.
EXAMPLE = b"""{"objects": [{
    "a": 1,
    "at": [{"a": 1, "d": 19334}, {"a": 0, "d": 1044}, {"a": 1, "d": 14853}],
    "b": "2019-07-01T11:16:07.052000",
    "d": 5315,
    "e": "2019-07-01T11:16:42.283000",
    "em": [
        {"d": 1458, "e": 3}, {"d": 3948, "e": 1}, {"d": 1221, "e": 0}, {"d": 1278, "e": -1}, {"d": 8748, "e": 0},
        {"d": 1328, "e": 3}, {"d": 2894, "e": 0}, {"d": 1246, "e": 3}, {"d": 6661, "e": 0}, {"d": 2020, "e": -1},
        {"d": 4429, "e": 0}
    ],
    "i": 35231,
    "o": 1331,
    "s": 0,
    "v": [{"d": 35231, "i": 8482, "s": 0}, {"d": 35231, "i": 9457, "s": 0}]
}]}"""

# docs: "The events". A field that is added to the code is added there, and here.
PART = "event_id session_event_id source device_id session_number index start end duration_ms gender age_group"
FIELDS = {
    "seemetrix.session.v1": (
        "event_id record_id revision source device_id session_number start end duration_ms attention_ms gender "
        "gender_code age_group age_code attention_count emotion_count content_view_count"
    ),
    "seemetrix.attention.v1": f"{PART} looking",
    "seemetrix.emotion.v1": f"{PART} emotion emotion_code",
    "seemetrix.content_view.v1": f"{PART} movie_id",
    "seemetrix.device.v1": ("event_id record_id revision source device_id state name created modified ip acl seen_at"),
    "seemetrix.counters.v1": (
        "event_id record_id revision source user_id seen_at device_count online_device_count movie_count visits_hour "
        "visits_day visits_month visits_total average_visit_ms"
    ),
    "seemetrix.statistics.v1": (
        "event_id record_id revision source user_id device_id period_start period_end resolution views female male "
        "gender_unknown child young_adult adult senior age_unknown demographics movie_views movie_views_average "
        "interval_average"
    ),
    "seemetrix.breakdown.v1": (
        "event_id record_id revision source user_id device_id period_start period_end resolution level path "
        "date_format cyclic views views_ms ots ots_ms"
    ),
    "collector.dead_letter.v1": "source stream window_start window_end reason error payload seen_at",
}
TOPICS = {
    "seemetrix.session.v1": "seemetrix.sessions",
    "seemetrix.attention.v1": "seemetrix.attention",
    "seemetrix.emotion.v1": "seemetrix.emotions",
    "seemetrix.content_view.v1": "seemetrix.content_views",
    "seemetrix.device.v1": "seemetrix.devices",
    "seemetrix.counters.v1": "seemetrix.counters",
    "seemetrix.statistics.v1": "seemetrix.statistics",
    "seemetrix.breakdown.v1": "seemetrix.breakdown",
    "collector.dead_letter.v1": "collector.dead_letters",
}
MOMENTS = {
    *("start", "end", "window_start", "window_end", "seen_at"),
    *("created", "modified", "period_start", "period_end"),
}
VOCABULARY = {
    "gender": {"female", "male", "unknown"},
    "age_group": {"child", "young_adult", "adult", "senior", "unknown"},
    "emotion": {"neutral", "happy", "angry", "surprised", "unknown"},
    "reason": {"malformed", "too_large"},
    "state": {"online", "offline", "frozen", "gone"},
    "level": {"device", "movie", "date", "age", "gender", "emotion"},
}

each_type = pytest.mark.parametrize("name", FIELDS)


def schema(name: str) -> dict[str, Any]:
    return json_schema(event_types()[name])


def validate(name: str, value: object) -> None:
    Draft202012Validator(schema(name), format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


def example_events() -> list[tuple[str, Any]]:
    """The names of the types and the values, as JSON, that the document's session becomes."""
    (session,) = read(rows(EXAMPLE))
    assert isinstance(session, Record)
    digest = record_digest(Memory.VERSIONS, session, 0)
    events = explode_session(session, digest, 0, "mall")
    return [(event.type.name, msgspec.json.decode(msgspec.json.encode(event.data))) for event in events]


def dead_letter() -> Any:  # noqa: ANN401 - JSON
    window = Window(at(1_561_979_700), at(1_561_980_600))
    origin = Origin("seemetrix", "mall", "sessions")
    reject = Reject(b'{"d": 5315}', "Object missing required field `o`", "5315")
    message = of_reject(reject, origin, window=window, seen_at=at(1_561_981_000), reason="malformed")
    return msgspec.json.decode(message.value)


@each_type
def test_a_schema_is_valid_and_names_its_type(name: str) -> None:
    got = schema(name)

    Draft202012Validator.check_schema(got)
    assert (got["$schema"], got["title"]) == ("https://json-schema.org/draft/2020-12/schema", name)
    assert name in got["$id"]
    assert got["description"]


@each_type
def test_a_type_has_the_fields_of_its_documentation_and_always_all_of_them(name: str) -> None:
    expected = set(FIELDS[name].split())
    assert expected == schema(name)["properties"].keys()
    assert expected == set(schema(name)["required"])


@each_type
def test_a_type_has_the_topic_of_its_documentation(name: str) -> None:
    assert TOPICS[name] == event_types()[name].topic


def test_no_type_is_without_documentation() -> None:
    ours = {name for name in event_types() if name.startswith(("seemetrix.", "collector."))}
    assert FIELDS.keys() == ours


@each_type
def test_every_field_says_what_it_is(name: str) -> None:
    assert not [field for field, kind in schema(name)["properties"].items() if not kind.get("description")]


@each_type
def test_every_moment_is_a_date_time_and_nothing_else_is(name: str) -> None:
    properties = schema(name)["properties"]
    expected = MOMENTS & properties.keys()
    said = {field: [kind, *kind.get("anyOf", ())] for field, kind in properties.items()}
    assert expected == {field for field, kinds in said.items() if any("date-time" == k.get("format") for k in kinds)}


@each_type
def test_words_are_those_of_the_vocabulary(name: str) -> None:
    properties = schema(name)["properties"]
    expected = {field: words for field, words in VOCABULARY.items() if field in properties}
    assert expected == {field: set(kind["enum"]) for field, kind in properties.items() if "enum" in kind}


def test_the_documents_session_becomes_events_that_keep_their_schemas() -> None:
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


def test_a_dead_letter_keeps_its_schema() -> None:
    validate("collector.dead_letter.v1", dead_letter())


def test_a_value_has_the_fields_of_its_documentation() -> None:
    for name, value in [*example_events(), ("collector.dead_letter.v1", dead_letter())]:
        assert (name, set(FIELDS[name].split())) == (name, set(value))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("gender", "woman"), ("duration_ms", "35231"), ("revision", -1), ("start", 1561979767052), ("device_id", None)],
)
def test_a_schema_refuses_what_breaks_the_contract(field: str, wrong: object) -> None:
    _, session = example_events()[0]

    with pytest.raises(ValidationError):
        validate("seemetrix.session.v1", session | {field: wrong})


def test_a_schema_refuses_a_value_that_lacks_a_field_and_takes_one_with_more() -> None:
    _, session = example_events()[0]

    validate("seemetrix.session.v1", session | {"added_in_a_later_release": 1})
    for field in session:
        with pytest.raises(ValidationError):
            validate("seemetrix.session.v1", {name: value for name, value in session.items() if name != field})


def test_the_documents_session_says_what_the_document_says() -> None:
    _, session = example_events()[0]

    digest = session["event_id"].partition("/")[0]
    assert 32 == len(digest) == len(bytes.fromhex(digest)) * 2
    assert session == {
        "event_id": f"{digest}/session/0",
        "record_id": "5315/1331/2019-07-01T11:16:07.052Z",
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
