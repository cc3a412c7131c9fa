"""A sample of a response's rows names the fields that they have, and those that are not known."""

import json

import pytest
from msgspec import Struct, field

from collector.model import FieldSample
from collector.vendors.row_fields import MAX_SAMPLED_BYTES, MAX_SAMPLED_ROWS, RowFields, paths_of


class Timing(Struct):
    start: int


class Zone(Struct):
    id: int
    timings: tuple[Timing, ...] | None = None


class Row(Struct):
    place: int
    visits: list[Zone] | None = None
    length: int = field(default=0, name="dwell")


FIELDS = RowFields(
    known=frozenset(("place", "status", "count", "person_count", "color", "zones", "zones[].id")),
    newest={"person_count": "count"},
    descriptive=frozenset(("place", "status")),
    sparse=frozenset(("color",)),
    expected=frozenset(("status",)),
)


def sample(*rows: object) -> FieldSample:
    return FIELDS.sample([json.dumps(row).encode() for row in rows])


def test_the_paths_of_a_struct_are_its_encoded_names_and_those_in_lists() -> None:
    lists = ("visits", "visits[].id", "visits[].timings", "visits[].timings[].start")
    assert {"place", "dwell", *lists} == paths_of(Row)


def test_fields_are_counted_by_row_and_by_their_newest_name() -> None:
    got = sample({"place": 1, "count": 2}, {"place": 1, "person_count": 2, "count": None}, {"place": 2, "status": "ok"})
    assert (2, {"place": 2, "count": 2}) == (got.rows, got.present)
    assert {"status"} == got.expected


def test_a_field_that_only_some_rows_have_is_not_counted() -> None:
    assert {"place": 1, "count": 1} == sample({"place": 1, "count": 2, "color": 3}).present


def test_a_field_that_is_null_is_present() -> None:
    assert 1 == sample({"place": 1, "count": 1, "status": None}).present["status"]


@pytest.mark.parametrize(
    "row", [{}, {"place": 1, "status": "ok"}, {"place": 1, "count": None, "new": None}, [1], 7, None]
)
def test_a_row_without_a_value_beside_those_that_describe_it_does_not_count(row: object) -> None:
    assert FieldSample(0, {}, (), {"status"}) == sample(row)


def test_a_row_whose_only_number_has_a_new_name_counts() -> None:
    assert (1, ("persons",)) == (sample({"place": 1, "persons": 4}).rows, sample({"place": 1, "persons": 4}).unknown)


def test_unknown_fields_are_named_once_in_their_order_also_in_known_lists() -> None:
    row = {"z": 1, "place": 1, "zones": [{"id": 1, "b": 2}, {"id": 1, "b": 3}, 7], "a": {"b": [{"c": 1}]}}
    assert ("z", "zones[].b", "a") == sample(row, row).unknown


@pytest.mark.parametrize(
    ("rows", "sampled"),
    [(0, 0), (1, 1), (2, 2), (MAX_SAMPLED_ROWS, MAX_SAMPLED_ROWS), (1000, MAX_SAMPLED_ROWS)],
)
def test_the_sample_is_bounded_and_has_the_first_and_the_last_row(rows: int, sampled: int) -> None:
    got = sample(*({"place": 1, "count": 1, f"new_{index}": 1} for index in range(rows)))
    assert (sampled, sampled) == (got.rows, len(got.unknown))
    assert {f"new_{index}" for index in (0, rows - 1) if rows} <= {*got.unknown}


@pytest.mark.parametrize(
    "raw",
    [b'{"place": 1, "count": }', b'{"new": "\xff"}', b"[" * 100_000, b'{"new": "%b"}' % (b"x" * MAX_SAMPLED_BYTES)],
)
def test_a_row_that_cannot_be_decoded_at_once_is_left_to_its_decoder(raw: bytes) -> None:
    assert 1 == FIELDS.sample([raw, b'{"count": 1}']).rows
