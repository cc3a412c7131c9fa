"""Finds a text in others, in which each of its characters is written as itself or as an escape: see `escapes.py`.

A response of a vendor may be large, and made to be slow to search. So a search is a generator that yields after each
slice of its work, whatever the text is, and the caller may do something else then. A slice is a part of the positions
at which an occurrence may start: what starts in a slice is found as a whole, also if it ends behind the slice.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import AnyStr

from collector.escapes import (
    MARKS,
    MAX_ESCAPE,
    PLAIN,
    Kind,
    any_plain,
    as_type,
    compiled,
    guard,
    guarded,
    max_written,
    pieces,
    spellings,
)
from collector.steps import Steps

MAX_LITERAL_SLICE = 1 << 20
"""The most positions of a slice in which a fixed string is searched for: a fraction of a millisecond."""
MAX_BLOCK = 64 << 10
"""The most positions that are excluded together, because characters are missing there."""
MAX_SLICE = 8 << 10
"""The most positions of a slice in which escapes are searched for: some milliseconds, if all of them are marks."""
MAX_CANDIDATES = 64
"""The most positions of a slice at which the whole text is compared."""
MAX_REQUIRED = 8
"""The most characters of a text whose absence is looked for. Those that escapes consist of are looked for last."""
_IN_ESCAPES = frozenset("0123456789ampuxAMPUXcC")


def beginning(text: bytes, max_bytes: int, margin: int, redact: Callable[[str], str]) -> str:
    """The first `max_bytes` of a text in UTF-8, without secrets.

    Of a long text, no more is searched than necessary: `margin` bytes behind the part that is returned, which are more
    than any escaped secret has. What is left of the margin, which may have half a secret at its end, is removed.
    """
    is_cut = len(text) > max_bytes + margin
    redacted = redact(text[: max_bytes + margin].decode("utf-8", "replace")).encode()
    return (redacted[:-margin] if is_cut else redacted)[:max_bytes].decode("utf-8", "ignore")


def kind_of(text: AnyStr) -> Steps[Kind]:
    """The kind of a text: found out once, for all texts that are searched for in it."""
    start = 0
    while not _has_mark(text, start, start + MAX_LITERAL_SLICE):
        start += MAX_LITERAL_SLICE
        if start >= len(text):
            return Kind.PLAIN
        yield
    for block in range(start, len(text), MAX_BLOCK):
        if _kind_in(text, block, block + MAX_BLOCK + MAX_ESCAPE) is Kind.ANY:
            return Kind.ANY
        yield
    return Kind.SPECIAL


def _kind_in(text: AnyStr, start: int, end: int) -> Kind:
    """The kind of a part of a text."""
    if not _has_mark(text, start, end):
        return Kind.PLAIN
    return Kind.ANY if any_plain(type(text)).search(text, start, end) else Kind.SPECIAL


def _has_mark(text: AnyStr, start: int, end: int) -> bool:
    return any(text.find(as_type(mark, type(text)), start, end) >= 0 for mark in MARKS)


class Escaped:
    """A text to find in others."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._run = max(PLAIN.findall(text), key=len, default="")
        self._max_written = max_written(text)
        self._compiled: set[tuple[Kind, type]] = set()
        plain = dict.fromkeys(char for char in text if PLAIN.match(char))
        self._required = [spellings(char) for char in sorted(plain, key=_IN_ESCAPES.__contains__)[:MAX_REQUIRED]]

    def may_occur(self, text: AnyStr, kind: Kind) -> bool:
        """False for most texts of this kind that do not contain this one, without a search for escapes."""
        if self._is_literal(kind):
            return as_type(self.text, type(text)) in text
        return self._may_start(text, 0, len(text), kind)

    def replaced(self, text: AnyStr, replacement: Callable[[AnyStr], AnyStr], kind: Kind) -> Steps[AnyStr]:
        """`text` with each occurrence, however it is written, replaced by what `replacement` returns for it.

        `kind` is that of the text.
        """
        empty, done = text[:0], 0
        slices: list[AnyStr] = []
        parts: list[AnyStr] = []
        for span in self._literal_spans(text) if self._is_literal(kind) else self._written_spans(text, kind):
            if span is None:
                if parts:  # many small parts would need many times the memory of the text
                    slices.append(empty.join(parts))
                    parts.clear()
                yield
                continue
            start, end = span
            parts += (text[done:start], replacement(text[start:end]))
            done = end
        slices += parts
        slices.append(text[done:])
        return empty.join(slices) if done else text

    def _is_literal(self, kind: Kind) -> bool:
        """Whether it has only one spelling in a text of this kind."""
        return kind is Kind.PLAIN and " " not in self.text

    def _literal_spans(self, text: AnyStr) -> Iterator[tuple[int, int] | None]:
        """Start and end of each occurrence as it is, and None after each slice."""
        needle = as_type(self.text, type(text))
        at, found = 0, 0
        for start in range(0, len(text), MAX_LITERAL_SLICE):
            end = start + MAX_LITERAL_SLICE + len(needle) - 1
            while (begin := text.find(needle, max(at, start), end)) >= 0:
                at = begin + len(needle)
                yield begin, at
                found += 1
                if found % MAX_SLICE == 0:
                    yield None
            if end < len(text):
                yield None

    def _written_spans(self, text: AnyStr, kind: Kind) -> Iterator[tuple[int, int] | None]:
        """Start and end of each occurrence, however it is written, and None after each slice."""
        at = 0
        for block in range(0, len(text), MAX_BLOCK):
            block_end = min(block + MAX_BLOCK, len(text))
            # A single escape makes a text one of the kind `ANY`: most of it may still be ordinary.
            reach = block_end + self._max_written + MAX_ESCAPE
            block_kind = _kind_in(text, block, reach) if kind is Kind.ANY else kind
            if self._may_start(text, block, block_end, block_kind):
                yield from self._compile(block_kind, type(text))
                for start in range(block, block_end, MAX_SLICE):
                    for span in self._spans_from(text, max(at, start), min(start + MAX_SLICE, block_end), block_kind):
                        at = span[1] if span else at
                        yield span
                    yield None
            elif block_end < len(text):
                yield None

    def _spans_from(self, text: AnyStr, at: int, end: int, kind: Kind) -> Iterator[tuple[int, int] | None]:
        """The occurrences that start at these positions."""
        first, rest = _expressions(self.text, kind, type(text))
        reach = max_written(self.text[: guarded(self.text, kind)])
        candidates = 0
        while at < end and (found := first.search(text, at, end + reach)) and (start := found.start()) < end:
            if (at := _end(rest, text, start)) > start:
                yield start, at
            else:
                at = start + 1
            candidates += 1
            if candidates % MAX_CANDIDATES == 0:
                yield None

    def _may_start(self, text: AnyStr, start: int, end: int, kind: Kind) -> bool:
        """Whether an occurrence may start at one of these positions: what it consists of is there, or soon follows."""
        end += self._max_written
        if kind is not Kind.ANY:
            return text.find(as_type(self._run, type(text)), start, end) >= 0
        return all(
            any(text.find(as_type(spelling, type(text)), start, end) >= 0 for spelling in required)
            for required in self._required
        )

    def _compile(self, kind: Kind, text_type: type[AnyStr]) -> Iterator[None]:
        """Compile the expressions, each in a slice of its own: each takes some milliseconds, once."""
        if (kind, text_type) not in self._compiled:
            for source in (guard(self.text, kind), *pieces(self.text, kind)):
                compiled(source, text_type)
                yield
            self._compiled.add((kind, text_type))


@lru_cache(maxsize=1024)
def _expressions(
    text: str, kind: Kind, text_type: type[AnyStr]
) -> tuple[re.Pattern[AnyStr], tuple[re.Pattern[AnyStr], ...]]:
    """The guard of a text, and its pieces."""
    return compiled(guard(text, kind), text_type), tuple(compiled(each, text_type) for each in pieces(text, kind))


def _end(expressions: tuple[re.Pattern[AnyStr], ...], text: AnyStr, at: int) -> int:
    """Where the last of the expressions ends, if they match one after the other from this position; -1 if not."""
    for expression in expressions:
        if (found := expression.match(text, at)) is None:
            return -1
        at = found.end()
    return at
