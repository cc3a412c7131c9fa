"""What holds every message of the tests to its contract does notice when one breaks it."""

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
VALUE = {"number": 7, "at": "2019-07-01T11:16:07.052Z"}
HEADERS = {
    "ce_specversion": "1.0",
    "ce_id": "0123456789abcdef0123456789abcdef/kept/0",
    "ce_source": "/test/mall",
    "ce_type": "test.kept.v1",
    "ce_subject": "device/3024",
    "ce_time": "2019-07-01T11:16:07.052Z",
    "content-type": "application/json",
}


def test_a_message_that_keeps_its_contract_passes() -> None:
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
def test_a_value_that_breaks_it_does_not(value: object) -> None:
    with pytest.raises(ValidationError):
        check(HEADERS, value, TYPE)


@pytest.mark.parametrize("name", HEADERS)
def test_nor_does_a_message_that_lacks_a_header(name: str) -> None:
    with pytest.raises(ValidationError):
        check({each: said for each, said in HEADERS.items() if each != name}, VALUE, TYPE)


@pytest.mark.parametrize(
    ("name", "said"),
    [("ce_type", "test.lost.v1"), ("ce_id", "7"), ("ce_source", "mall"), ("ce_time", "now"), ("content-type", "text")],
)
def test_nor_does_one_whose_header_says_what_it_must_not(name: str, said: str) -> None:
    with pytest.raises(ValidationError):
        check(HEADERS | {name: said}, VALUE, TYPE)


def test_nor_does_one_of_a_type_that_there_is_not() -> None:
    with pytest.raises(KeyError):
        check(HEADERS, VALUE)
