"""The rows of a response as the vendor's bytes. They are found and counted before any of them is decoded.

A response of a few kilobytes may decompress to millions of rows that are a single character each. So no object is made
for a row until it is read, and the search ends as soon as there are more rows than a response may have.
"""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from typing import overload

import msgspec
from msgspec import Raw

from collector.errors import Split
from collector.steps import Steps

MAX_ROWS = 50_000
"""The most rows of one response, whatever its size in bytes: each row takes time and memory once it is decoded."""
MAX_ROWS_OF_PERIOD = 75_000
"""The same, where the window is a single period, which cannot be halved: a month of many places may have that many."""

_BEFORE_ROW = re.compile(rb"[ \t\n\r,]*")
_NAME = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"[ \t\n\r]*:[ \t\n\r]*', re.DOTALL)
_TRAILING = re.compile(r"JSON is malformed: trailing characters \(byte (\d+)\)")
"""How msgspec reports that a value is followed by something else. The number is that of the first such byte, from 1."""
_SPACE = ord(" ")
_skip = msgspec.json.Decoder(Raw).decode


class Form(Enum):
    """What the vendor sends where rows are expected."""

    LIST = auto()
    OBJECT = auto()
    """The rows are the values of its members."""
    NULL = auto()
    OTHER = auto()


_FORMS = {b"[": Form.LIST, b"{": Form.OBJECT, b"n": Form.NULL}


class RawRows(Sequence[bytes]):
    """The rows of a response. Each takes sixteen bytes, and is copied from the response when it is read."""

    def __init__(self, text: bytes | memoryview, places: "array[int]", form: Form) -> None:
        """`places` are the start and the end of each row in the text, in turn."""
        self._text = memoryview(text)
        self._places = places
        self.form = form

    @classmethod
    def of(cls, rows: Iterable[bytes], form: Form = Form.LIST) -> "RawRows":
        """These rows."""
        text, places = bytearray(), array("Q")
        for row in rows:
            places.extend((len(text), len(text) + len(row)))
            text += row
        return cls(bytes(text), places, form)

    def __len__(self) -> int:
        return len(self._places) // 2

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> "RawRows": ...
    def __getitem__(self, index: int | slice) -> "bytes | RawRows":
        if isinstance(index, slice):
            return RawRows.of((self[each] for each in range(*index.indices(len(self)))), self.form)
        nth = range(len(self))[index]
        return bytes(self._text[self._places[2 * nth] : self._places[2 * nth + 1]])

    def __iter__(self) -> Iterator[bytes]:
        text, places = self._text, iter(self._places)
        for start, end in zip(places, places, strict=True):
            yield bytes(text[start:end])


NO_ROWS = RawRows(b"", array("Q"), Form.NULL)
"""What a response has that lacks the rows."""


def find_rows(value: Raw, max_rows: int) -> Steps[RawRows]:
    """Find the rows in a valid JSON value: the items of a list, or the values of an object's members.

    Raises Split when there are more than `max_rows`.
    """
    text = bytes(value).strip(b" \t\n\r")
    form = _FORMS.get(text[:1], Form.OTHER)
    places, view, at = array("Q"), memoryview(text), 1
    last = len(text) - 1 if form in (Form.LIST, Form.OBJECT) else 0
    while (at := _end(_BEFORE_ROW, text, at)) < last:
        if form is Form.OBJECT:
            at = _end(_NAME, text, at)
        end = end_of_value(view, at)
        places.append(at)
        places.append(end)
        check_rows(len(places) // 2, max_rows)
        at = end
        yield
    return RawRows(text, places, form)


def as_list(rows: RawRows) -> RawRows:
    """The rows, which must be those of a list. Raises msgspec.DecodeError otherwise."""
    if rows.form is not Form.LIST:
        raise msgspec.DecodeError("Expected a list of rows")
    return rows


def check_rows(rows: int, max_rows: int) -> None:
    """Raise Split if there are too many rows."""
    if rows > max_rows:
        raise Split(f"more than {max_rows} rows", code="too_many_rows")


def end_of_value(text: memoryview, at: int) -> int:
    """The end of the JSON value that starts at a position. Raises msgspec.DecodeError if it is not valid.

    msgspec skips a value without making an object of it, and reports where the text continues.
    """
    try:
        _skip(text[at:])
    except msgspec.DecodeError as error:
        found = _TRAILING.match(str(error))
        if found is None:
            raise
        end = at + int(found[1]) - 1
    else:
        end = len(text)
    while text[end - 1] <= _SPACE:
        end -= 1
    return end


def _end(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    """The end of the pattern at a position; the position itself if it does not match."""
    found = pattern.match(text, at)
    return at if found is None else found.end()
