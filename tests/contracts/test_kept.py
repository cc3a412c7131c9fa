"""The validation of messages in tests rejects invalid ones."""

import pytest
from jsonschema_rs import ValidationError
from msgspec import Struct

from collector.instants import Timestamp
from collector.model import EventType
from tests.contracts.kept import check


class Data(Struct):
    number: int
    at: Timestamp


TYPE = EventType("test.kept.v1", "test.kept", Data)
COMMON = {"event_id": "0/kept/0", "type": "test.kept.v1", "vendor": "test", "source": "mall"}
VALUE = COMMON | {"number": 7, "at": "2019-07-01T11:16:07.052Z"}
HEADERS = {
    "ce_specversion": "1.0",
    "ce_id": "0123456789abcdef0123456789abcdef/kept/0",
    "ce_source": "/test/mall",
    "ce_type": "test.kept.v1",
    "ce_subject": "device/3024",
    "ce_time": "2019-07-01T11:16:07.052Z",
    "content-type": "application/json",
}


def test_a_valid_message_passes() -> None:
    check(HEADERS, VALUE, TYPE)


@pytest.mark.parametrize(
    "value",
    [
        {},
        None,
        VALUE | {"number": "7"},
        VALUE | {"at": "2019-07-01T11:16:07Z"},
        VALUE | {"at": "2019-07-01T11:16:07.052+00:00"},
        VALUE | {"at": None},
    ],
    ids=str,
)
def test_an_invalid_value_is_rejected(value: object) -> None:
    with pytest.raises(ValidationError):
        check(HEADERS, value, TYPE)


@pytest.mark.parametrize("name", HEADERS)
def test_a_missing_header_is_rejected(name: str) -> None:
    with pytest.raises(ValidationError):
        check({each: value for each, value in HEADERS.items() if each != name}, VALUE, TYPE)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ce_type", "test.lost.v1"), ("ce_id", "7"), ("ce_source", "mall"), ("ce_time", "now"), ("content-type", "text")],
)
def test_an_invalid_header_is_rejected(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        check(HEADERS | {name: value}, VALUE, TYPE)


def test_an_unknown_type_is_rejected() -> None:
    with pytest.raises(KeyError):
        check(HEADERS, VALUE)
