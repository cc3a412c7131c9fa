"""Takes apart a response that is not valid JSON as a whole, so that a damaged row costs no other row.

The text around the rows must be valid. Within the rows, JSON is read value by value. Where a value cannot be read, the
search continues at the next object that can be a row; what lies between is one damaged row. If there is none, it was
the last row, and the rows end at the first bracket after which the rest of the response is valid.

Nothing is guessed about the text around the rows: a response that was cut off is not accepted.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Raw, inspect

from collector.steps import Steps
from collector.vendors.raw_rows import RawRows, check_rows

IsRow = Callable[[Mapping[str, Any]], bool]
MAX_READINGS = 4
"""How often, on average, each character of a large response may be read. Where a row is damaged, each level of it may
be read once."""
MIN_BUDGET = 64 << 20
"""The characters that may be read of any response: about three seconds. Enough for all levels of a tree of 9 MiB."""
READING = 512
"""The characters that take as long as to begin a reading that fails."""
NESTING = 8
"""How much longer nested text takes than other text."""
MAX_VALUE = 1 << 20
"""The most characters of one value. Read as a whole, a longer one could take a hundred times as many bytes."""
STRIDE = 256 << 10
"""The most characters that are searched in one step."""
_PROBE = 4096
"""The first length of a text that is read."""
_TOKEN = 16
"""An error is not caused by the end of the text if at least so many characters follow it."""

_SPACE = re.compile(r"[ \t\n\r]*")
_AFTER_MEMBER = re.compile(r"[ \t\n\r]*(?:,|(?=\}))")
_BETWEEN_ROWS = re.compile(r"[ \t\n\r,]*")
_AFTER_ROWS = re.compile(r"[ \t\n\r]*(?:[,}]|\Z)")
_ROW = re.compile(r"(?=\{)")
_NAME = re.compile(r'"[^"\\]*"[ \t\n\r]*:[ \t\n\r]*')
_MEMBER = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"[ \t\n\r]*:[ \t\n\r]*', re.DOTALL)
_NESTED = re.compile(r'(?:[\[{][ \t\n\r]*+(?:"[^"\\]*+"[ \t\n\r]*+:[ \t\n\r]*+)?+){100}')
"""The start of what is nested too deeply to be a row. Only saves time: reading such a text at each level is slow.

Each part is possessive: otherwise there would be a multitude of ways to match the same spaces."""
LENIENT = json.JSONDecoder(strict=False, parse_constant=lambda _: None)
"""Accepts control characters in strings, and half a pair of surrogates. Decodes NaN and Infinity as null."""
_read = LENIENT.raw_decode


def take_apart(body: bytes, into: inspect.Type, is_row: IsRow, max_rows: int) -> Steps[Any]:
    """Return the most likely way to read the body: a value as msgspec.convert accepts it.

    Where `into` has `RawRows`, the value has a list, or a dict, of the vendor's bytes. Where it has `Raw`, so has the
    value. Text that is not UTF-8 has the form of `surrogateescape`. Raises ValueError if there is no way, or if the
    search for the rows would take too long, and Split if there are more than `max_rows`.
    """
    text = body.decode("utf-8", "surrogateescape")
    for found in _Reader(text, is_row, max_rows).values(0, into):
        if found is None:
            yield
        elif _SPACE.fullmatch(text, found[1]):
            return found[0]
    raise ValueError("there is no way to read it")


class _Reader:
    """Reads one text.

    Iterators yield the ways to read a value at a position, with the position of its end, and None after each step.
    """

    def __init__(self, text: str, is_row: IsRow, max_rows: int) -> None:
        self._text = text
        self._is_row = is_row
        self._max_rows = max_rows
        self._budget = max(MAX_READINGS * len(text), MIN_BUDGET)

    def values(self, at: int, expected: inspect.Type) -> Iterator[tuple[Any, int] | None]:
        at = self._after_space(at)
        for each in expected.types if isinstance(expected, inspect.UnionType) else (expected,):
            if isinstance(each, inspect.StructType) and self._text[at : at + 1] == "{":
                yield from self._members(at + 1, each, {})
                return
            if _is_rows(each) and self._text[at : at + 1] == "[":
                yield from self._rows(at + 1, _ROW, "]")
                return
            if _is_rows(each) and self._text[at : at + 1] == "{":
                for rows in self._rows(at + 1, _NAME, "}"):
                    if rows is None:
                        yield None
                    else:
                        yield {str(number): row for number, row in enumerate(rows[0])}, rows[1]
                return
        value = self._read(at)
        yield None
        if value is not None:
            yield (self._raw(at, value[1]), value[1]) if isinstance(expected, inspect.RawType) else value

    def _members(self, at: int, of: inspect.StructType, found: dict[str, Any]) -> Iterator[tuple[Any, int] | None]:
        """The members of an object from this position on, with those that were found before it."""
        while True:
            at = self._after_space(at)
            if self._text[at : at + 1] == "}" and all(each.encode_name in found for each in of.fields if each.required):
                yield found, at + 1
                return
            name = _MEMBER.match(self._text, at)
            if name is None:
                return
            field = next((each for each in of.fields if name[0].startswith(f'"{each.encode_name}"')), None)
            if field is not None and field.encode_name in found:
                return
            if field is not None:
                for way in self.values(name.end(), field.type):
                    if way is None:
                        yield None
                    elif (after := _AFTER_MEMBER.match(self._text, way[1])) is not None:
                        yield from self._members(after.end(), of, {**found, field.encode_name: way[0]})
                return
            unknown = self._read(name.end())
            yield None
            after = None if unknown is None else _AFTER_MEMBER.match(self._text, unknown[1])
            if after is None:
                return
            at = after.end()

    def _rows(self, at: int, before: re.Pattern[str], close: str) -> Iterator[tuple[list[bytes], int] | None]:
        """The rows of a list or of an object. `before` matches what precedes a row, `close` ends the rows."""
        rows: list[bytes] = []
        damaged: list[tuple[int, int]] = []
        while True:
            yield None
            check_rows(len(rows), self._max_rows)
            at = self._after(_BETWEEN_ROWS, at)
            if self._text[at : at + 1] == close:
                self._spend(READING + len(rows))
                yield list(rows), at + 1
            row = self._object(at, before)
            if row is not None:
                rows.append(self._bytes(*row))
                at = row[1]
                continue
            damaged.append((len(rows), at))
            following = yield from self._next_row(at + 1, before)
            if following is None:
                break
            rows.append(self._bytes(at, following))
            at = following
        for count, start in reversed(damaged):
            for end in self._ends_of_rows(start, close):
                yield None
                if end is not None:
                    self._spend(READING + count)
                    yield [*rows[:count], self._bytes(start, end)], end + 1

    def _object(self, at: int, before: re.Pattern[str]) -> tuple[int, int] | None:
        """The start and the end of the object that is the row at a position; None if there is none."""
        found = before.match(self._text, at)
        value = None if found is None else self._read(found.end())
        return None if found is None or value is None or not isinstance(value[0], dict) else (found.end(), value[1])

    def _ends_of_rows(self, start: int, close: str) -> Iterator[int | None]:
        """Where the rows may end, after a last row that is damaged and starts at `start`; None after each other step.

        A response that was cut off inside a row may end like a whole one. Then at least two of the row's braces are not
        closed, its own and the one that seems to close the response, nor is the bracket between them.
        """
        braces, brackets, at = 0, 0, start
        while at < len(self._text):
            end = self._text.find(close, at + 1, at + STRIDE)
            following = at + STRIDE if end < 0 else end
            braces += self._text.count("{", at, following) - self._text.count("}", at, following)
            brackets += self._text.count("[", at, following) - self._text.count("]", at, following)
            self._spend(following - at)
            at = following
            is_balanced = braces <= 1 or (braces == 2 and brackets == 0)  # noqa: PLR2004 - see above
            yield end if end >= 0 and is_balanced and _AFTER_ROWS.match(self._text, end + 1) else None

    def _next_row(self, at: int, before: re.Pattern[str]) -> Steps[int | None]:
        """Where the next row begins, with what precedes it; None without one."""
        first = '"' if before is _NAME else "{"
        while at < len(self._text):
            yield
            start = self._text.find(first, at, at + STRIDE)
            self._spend(READING + (STRIDE if start < 0 else start - at))
            at = at + STRIDE if start < 0 else start + 1
            found = None if start < 0 else before.match(self._text, start)
            if found is None:
                continue
            nested = _NESTED.match(self._text, found.end())
            self._spend((found if nested is None else nested).end() - start)
            value = self._read(found.end()) if nested is None else None
            if value is not None and isinstance(value[0], dict) and self._is_row(value[0]):
                return start
        return None

    def _read(self, at: int) -> tuple[Any, int] | None:
        """The value at a position and its end; None if there is no valid one of at most MAX_VALUE characters."""
        length = _PROBE
        while True:
            text = self._text[at : at + length]
            is_cut = at + length < len(self._text)
            try:
                value, end = _read(text, 0)
            except json.JSONDecodeError as error:
                is_in_string = error.msg.startswith("Unterminated string")  # then `pos` is the start of the string
                is_cut = is_cut and (is_in_string or error.pos + _TOKEN > length)
                self._spend(READING + (len(text) if is_in_string else error.pos))
            except ValueError:  # an integer of thousands of digits
                self._spend(len(text))
                return None
            except RecursionError:
                self._spend(NESTING * self._length_of_nesting(at))
                return None
            else:
                self._spend(end)
                if end < length or not is_cut:
                    return value, at + end
            if not is_cut or length >= MAX_VALUE:
                return None
            length = min(4 * length, MAX_VALUE)

    def _length_of_nesting(self, at: int) -> int:
        """At least the number of characters until the text at a position is nested too deeply."""
        length = _PROBE
        while at + length < len(self._text):
            try:
                _read(self._text[at : at + length], 0)
            except RecursionError:
                break
            except ValueError:
                pass
            length *= 2
        return length

    def _spend(self, characters: int) -> None:
        """Count characters that were read. Raises ValueError if they are too many: the response was made to be slow."""
        self._budget -= characters
        if self._budget < 0:
            raise ValueError("reading the rows takes too long")

    def _raw(self, start: int, end: int) -> Raw:
        return Raw(self._bytes(start, end))

    def _bytes(self, start: int, end: int) -> bytes:
        return self._text[start:end].rstrip(" \t\n\r,").encode("utf-8", "surrogateescape")

    def _after_space(self, at: int) -> int:
        return self._after(_SPACE, at)

    def _after(self, pattern: re.Pattern[str], at: int) -> int:
        found = pattern.match(self._text, at)
        return at if found is None else found.end()


def _is_rows(expected: inspect.Type) -> bool:
    return isinstance(expected, inspect.CustomType) and expected.cls is RawRows
