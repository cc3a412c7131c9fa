"""Deviations from JSON are accepted where they are unambiguous, and rejected where they are not."""

import json
import math
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from collector.steps import at_once
from collector.vendors.leniency import MalformedRow, ResponseDecoder, RowDecoder

DEEP = b"[" * 1_000_000 + b"]" * 1_000_000  # Python 3.14 limits the depth by the size of the stack

# Strings of the characters of NaN and Infinity, and of those that end strings.
TRICKY = st.text('"\\NaInfity-, []{}:n') | st.sampled_from(["NaN", '"NaN"', '\\"', "\\", "-Infinity", '", NaN, "'])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | TRICKY,
    lambda inner: st.lists(inner) | st.dictionaries(TRICKY, inner),
)


class Row(Struct, frozen=True):
    n: int
    xs: tuple[int, ...] = ()
    share: float = 0.0


decode_row = RowDecoder(Row)
anything: ResponseDecoder[Any] = ResponseDecoder(Any, Any)
response = ResponseDecoder(Row, Row)


def decode_anything(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    return at_once(anything(body))


def decode_response(body: bytes) -> Row:
    return at_once(response(body))


def finite_or_none(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [finite_or_none(item) for item in value]
    if isinstance(value, dict):
        return {key: finite_or_none(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[NaN, Infinity, -Infinity, 1]", [None, None, None, 1]),
        (b'{"NaN":NaN}', {"NaN": None}),
        (b'["NaN", "-Infinity", NaN]', ["NaN", "-Infinity", None]),
        (rb'["say \"NaN\"", NaN]', ['say "NaN"', None]),
        (rb'["a backslash \\", NaN, "b"]', ["a backslash \\", None, "b"]),
        (rb'["\\\" NaN", NaN]', ['\\" NaN', None]),
    ],
)
def test_nan_and_infinity_are_null_except_inside_strings(body: bytes, expected: object) -> None:
    assert expected == decode_anything(body)


@given(JSON)
def test_everything_that_python_encodes_is_decoded(value: object) -> None:
    assert finite_or_none(value) == decode_anything(json.dumps(value).encode())


@pytest.mark.parametrize(
    "body", [b"", b"[1", b"[NaN", b"[nan]", b"[+Infinity]", b"[NaNs]", b"<html>NaN</html>", b'"NaN']
)
def test_invalid_json_raises(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_anything(body)


@pytest.mark.parametrize(
    "body",
    [DEEP, b"[" * 100_000, b'{"a":' * 100_000, b"[NaN," + DEEP + b"]"],
    ids=["lists", "unclosed", "objects", "after NaN"],
)
def test_deep_nesting_raises_a_decode_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_anything(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'"caf\xe9"', "caf\ufffd"),
        (b'{"\xff": NaN}', {"\ufffd": None}),
        (rb'"half \ud83d"', "half \ufffd"),
        (b'"line\nbreak \x01"', "line\nbreak \x01"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
    ],
)
def test_text_that_cannot_be_decoded_is_replaced_in_a_response(body: bytes, expected: object) -> None:
    assert expected == decode_anything(body)


@pytest.mark.parametrize("body", [b'{"n":1}', b'{"n":1,"share":NaN}'])
def test_a_byte_order_mark_is_ignored(body: bytes) -> None:
    assert decode_anything(body) == decode_anything(b"\xef\xbb\xbf" + body)


@pytest.mark.parametrize("body", [b'{"n":1,"xs":[1,"NaN"]}', b'{"n":1,"xs":[1,NaN]}'])
def test_a_validation_error_names_the_path(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"Expected `int`, got .* - at `\$\.xs\[1\]`"):
        decode_response(body)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"n":64}', Row(64)),
        (b'{"n":64.0}', Row(64)),
        (b'{"n":6.4e1}', Row(64)),
        (b'{"n":-0.0}', Row(0)),
        (b'{"n":1,"xs":[1.0,2,3.0]}', Row(1, (1, 2, 3))),
        (b'{"n":1.0,"share":64.0}', Row(1, share=64.0)),
        (b'{"n":1.0,"share":64.5}', Row(1, share=64.5)),
        (b'{"n":1.0,"new":{"x":[0.5]}}', Row(1)),
    ],
)
def test_an_integer_may_be_written_as_a_float(raw: bytes, expected: Row) -> None:
    got = decode_row(raw)

    assert expected == got
    assert [int, int] == [type(got.n), type(sum(got.xs))]


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b'{"n":64.5}', r"`\$\.n`"),
        (b'{"n":1.0,"xs":[1.0,64.5]}', r"`\$\.xs\[1\]`"),
        (b'{"n":"64"}', r"`\$\.n`"),
        (b'{"n":"64.0"}', r"`\$\.n`"),
        (b'{"n":true}', r"`\$\.n`"),
        (b'{"n":null}', r"`\$\.n`"),
        (b"{}", "`n`"),
    ],
)
def test_a_non_integer_is_rejected_with_its_path(raw: bytes, place: str) -> None:
    with pytest.raises(MalformedRow, match=place):
        decode_row(raw)


class Visit(Struct, frozen=True):
    n: int
    name: str | None = None
    codes: tuple[int, ...] | None = None


decode_visit = RowDecoder(Visit, side=("name", "codes"))


@pytest.mark.parametrize(
    ("raw", "expected", "ignored"),
    [
        (b'{"n":1,"name":"Ann","codes":[1]}', Visit(1, "Ann", (1,)), {}),
        (b'{"n":1,"name":5,"codes":[1]}', Visit(1, None, (1,)), {"name": 1}),
        (b'{"n":1.0,"name":"Ann","codes":[1.0]}', Visit(1, "Ann", (1,)), {}),
        (b'{"n":1,"name":[],"codes":"x"}', Visit(1), {"name": 1, "codes": 1}),
        (b'{"n":1,"name":"caf\xe9"}', Visit(1), {"name": 1}),
        (rb'{"n":1,"name":"half \ud83d"}', Visit(1), {"name": 1}),
        (b'{"n":1,"name":"two\nlines"}', Visit(1, "two\nlines"), {}),
        (b'{"n":1,"unread":"caf\xe9 \x01 \\ud83d"}', Visit(1), {}),
        (b'{"n":1,"codes":[1,NaN]}', Visit(1), {"codes": 1}),
        (b'{"n":1,"name":NaN}', Visit(1), {}),
    ],
)
def test_a_side_field_that_cannot_be_understood_is_null_and_counted(
    raw: bytes, expected: Visit, ignored: dict[str, int]
) -> None:
    counted = Counter[str]()

    assert expected == decode_visit(raw, counted)
    assert ignored == counted


class Measured(Struct, frozen=True):
    n: int
    amount: int | float | None = None
    name: str | None = None


@pytest.mark.parametrize("number", ["1e300", "-1e300", "1.5e19", "9223372036854775808.0"])
def test_a_large_number_does_not_depend_on_another_field(number: str) -> None:
    decode = RowDecoder(Measured, side=("amount", "name"))

    assert float(number) == decode(b'{"n":1,"amount":%b}' % number.encode()).amount
    assert float(number) == decode(b'{"n":1,"amount":%b,"name":5}' % number.encode()).amount


@pytest.mark.parametrize(
    "raw",
    [
        b'{"n":"caf\xe9"}',
        rb'{"n":"\ud83d"}',
        b'{"n":NaN}',
        b'{"name":"Ann"}',
        b'{"n":1,"name":"Ann}',
        b"5",
        b"",
        b'{"n":1,"unread":' + DEEP + b"}",
    ],
)
def test_a_row_whose_main_fields_cannot_be_understood_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedRow):
        decode_visit(raw)
