"""Rows are found and counted before any of them is decoded, and in short steps."""

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from collector.errors import Split
from collector.steps import Steps, at_once
from collector.vendors import damage
from collector.vendors.quividi import wire as quividi
from collector.vendors.quividi.place_list import decode_places
from collector.vendors.raw_rows import MAX_ROWS, NO_ROWS, Form, RawRows, end_of_value, find_rows
from collector.vendors.seemetrix import breakdown, devices, statistics, wire

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
SPACES = st.text(" \t\n\r", max_size=3)

DECODERS: dict[str, tuple[Callable[[bytes], Steps[Any]], bytes]] = {
    "sessions": (wire.decode, b'{"objects":[%b]}'),
    "devices": (devices.decode, b'{"online":[%b],"offline":[],"frozen":[]}'),
    "statistics": (statistics.decode, b'{"objects":[%b]}'),
    "breakdown": (breakdown.decode, b'{"ok":1,"data":{"o":[%b]}}'),
    "exports": (quividi.decode_export, b'{"state":"finished","data":[%b]}'),
    "locations": (decode_places, b"[%b]"),
}
FLOODS = (b"0", b"[]", b'""', b"null")


def rows(text: bytes) -> RawRows:
    return at_once(find_rows(Raw(text), MAX_ROWS))


@given(values=st.lists(JSON), space=SPACES)
def test_the_rows_of_a_list_are_its_items(values: list[object], space: str) -> None:
    text = "[" + ",".join(space + json.dumps(each) + space for each in values) + space + "]"

    found = rows(text.encode())
    assert Form.LIST is found.form
    assert [json.dumps(each).encode() for each in values] == list(found) == [found[n] for n in range(len(found))]


@given(values=st.dictionaries(st.text(), JSON), space=SPACES)
def test_the_rows_of_an_object_are_the_values_of_its_members(values: dict[str, object], space: str) -> None:
    members = (f"{space}{json.dumps(name)}{space}:{space}{json.dumps(each)}{space}" for name, each in values.items())

    found = rows(("{" + ",".join(members) + space + "}").encode())
    assert Form.OBJECT is found.form
    assert [json.dumps(each).encode() for each in values.values()] == list(found)


@pytest.mark.parametrize(("text", "form"), [(b"null", Form.NULL), (b"5", Form.OTHER), (b'"[1]"', Form.OTHER)])
def test_another_value_has_no_rows(text: bytes, form: Form) -> None:
    assert ([], form) == (list(rows(text)), rows(text).form)
    assert not NO_ROWS


def test_a_slice_of_rows_is_rows() -> None:
    found = rows(b'[1, {"a": 2}, [3]]')

    assert [b'{"a": 2}', b"[3]"] == list(found[1:])
    assert b"[3]" == found[-1]
    with pytest.raises(IndexError):
        found[3]


@pytest.mark.parametrize("text", [b"tru", b'{"a" 1}', b"", b"]", b'"\\q"', b"1e"])
def test_the_end_of_an_invalid_value_is_not_guessed(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        end_of_value(memoryview(text), 0)


@pytest.mark.parametrize("text", [b"0", b"-1.5e3", b'"a\\"b"', b"[[],{}]", b'{"a":{"b":"]}"}}', b"true", b"null"])
@pytest.mark.parametrize("after", [b"", b",0", b" ,0", b"]", b"}", b"\n]", b"x", b"\xff"])
def test_the_end_of_a_value_is_that_of_msgspec(text: bytes, after: bytes) -> None:
    """Fails if msgspec changes how it reports what follows a value."""
    if text[-1:].isalnum() and after[:1].isalpha():
        pytest.skip("not a value and something after it")

    assert 1 + len(text) == end_of_value(memoryview(b" " + text + after), 1)


@pytest.mark.parametrize(
    ("name", "row"),
    [*((name, row) for name in DECODERS for row in (b"{}", b'{"d":1}')), *(("sessions", row) for row in FLOODS)],
)
@pytest.mark.parametrize("is_damaged", [False, True])
def test_too_many_rows_are_refused_before_they_take_memory(
    name: str, row: bytes, is_damaged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "MIN_BUDGET", 2 << 20)  # the usual one takes seconds here, since allocations are traced
    decode, form = DECODERS[name]
    body = form % b",".join([row] * 100_000 + [b"x"] * is_damaged)
    tracemalloc.start()
    try:
        try:
            at_once(decode(body))
        except Split as error:
            assert "too_many_rows" == error.code  # noqa: PT017 - some damaged floods are a single damaged row
        except msgspec.DecodeError:
            assert is_damaged
        else:
            assert is_damaged
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * len(body) + (2 << 20)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("is_damaged", [False, True])
def test_rows_are_found_in_short_steps(name: str, is_damaged: bool) -> None:
    decode, form = DECODERS[name]
    row = b'{"d":1,"o":2,"b":3,"i":4,"t":5,"n":6,"v":7,"vd":8,"id":9,"location_id":10,"e":"' + b"e" * 100 + b'"}'
    body = form % b",".join([row] * 20_000 + [b"x"] * is_damaged)

    assert sum(1 for _ in decode(body)) >= 200


def test_a_single_huge_row_is_one_step_and_takes_no_memory_of_its_own() -> None:
    body = b'{"objects":[{"at":[' + b",".join([b"[]"] * 1_000_000) + b"]}]}"
    tracemalloc.start()
    try:
        [row] = wire.read(at_once(wire.decode(body)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(body)
    assert "longer than" in getattr(row, "error", "")


@pytest.mark.parametrize("text", [b"[]", b"0", b"{}", b'""'])
def test_an_undocumented_value_beside_the_rows_takes_no_memory(text: bytes) -> None:
    flood = b"[" + b",".join([text] * 1_000_000) + b"]"
    body = b'{"state":"failed","fail_reason":%b,"error":%b,"new":%b}' % (flood, flood, flood)
    tracemalloc.start()
    try:
        export = at_once(quividi.decode_export(body))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ("failed", "", None) == (export.state, export.reason, export.error_number)
    assert peak < 2 * len(body)
