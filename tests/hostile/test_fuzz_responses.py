"""Whatever the bytes of a response are, it is refused with a documented error, or its events obey their contract."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from collector.errors import RetryLater, Split
from collector.model import Record, Reject
from collector.steps import at_once
from collector.vendors.empties import has_undocumented_form
from collector.vendors.quividi.rows import finest_rows
from collector.vendors.seemetrix import breakdown, counters, devices, statistics, wire
from tests.contracts.examples import example, seemetrix
from tests.contracts.examples.quividi import EXAMPLES as QUIVIDI
from tests.contracts.kept import check_message
from tests.rows import export_rows, session_rows
from tests.vendors.quividi import aggregated, finest
from tests.vendors.quividi.example import PARIS
from tests.vendors.seemetrix import documented
from tests.vendors.seemetrix.example import DEVICES, RAW_DATA

Found = Iterable[Record[Any] | Reject | None]


class Fuzzed(Struct, frozen=True):
    """A documented response, and how its stream decodes it."""

    body: bytes
    decode: Callable[[bytes], Found]
    like: example.Example
    """Explodes the records of this stream."""


def _examples() -> dict[str, example.Example]:
    return {each.origin.stream: each for each in (*seemetrix.EXAMPLES, *QUIVIDI)}


def _statistics(body: bytes) -> Found:
    return statistics.read(at_once(statistics.decode(body)), seemetrix.TWO_DAYS, None, ())


def _breakdown(body: bytes) -> Found:
    tree = breakdown.children(at_once(breakdown.decode(body)))
    return breakdown.read(tree, seemetrix.HALF_A_YEAR, seemetrix.REQUEST)


def _devices(body: bytes) -> Found:
    return devices.read(at_once(devices.decode(body)), seemetrix.SEEN_MS, include_private=True)


def _aggregates(stream: str, body: bytes) -> Found:
    return aggregated.aggregates(stream).read(export_rows(body) or (), *aggregated.YEAR)


def _finest(stream: str, body: bytes) -> Found:
    return finest_rows(stream, PARIS).read(export_rows(body) or (), *aggregated.YEAR)


_DECODED: Sequence[tuple[str, bytes, Callable[[bytes], Found]]] = (
    ("sessions", RAW_DATA, lambda body: wire.read(session_rows(body))),
    ("devices", DEVICES, _devices),
    ("counters", documented.COUNTERS, lambda body: [counters.read(body, seemetrix.SEEN_MS)]),
    ("statistics", documented.USER_STATISTICS, _statistics),
    ("breakdown", documented.FULL_TREE, _breakdown),
    *((name, body, partial(_finest, name)) for name, body in finest.RESPONSES.items()),
    *((name, body, partial(_aggregates, name)) for name, body in aggregated.ALL_EXAMPLES.items()),
)
FUZZED = {name: Fuzzed(body, decode, _examples()[name]) for name, body, decode in _DECODED}
TOKENS = (
    *(b"null", b"true", b"-1", b"0", b"1e999", b"-0.0", b"64.0", b"9" * 30, b"9" * 5000, b"NaN", b"-Infinity"),
    *(b'""', b'"\\ud800"', b'"\\u0000"', b'"x', b"{}", b"[]", b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\"),
    *(b"\xef\xbb\xbf", b"\xff", b"\x00", b"[" * 2000, b'"9999-12-31 23:59:59"', b'"0001-01-01T00:00:00"', b"<html>"),
)
CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from(TOKENS) | st.binary(max_size=8) | st.just(None)),
    max_size=4,
)


def changed(body: bytes, changes: list[tuple[float, int, bytes | None]]) -> bytes:
    """The body, in which parts are replaced; None repeats the part."""
    for place, length, text in changes:
        at = int(place * len(body))
        part = body[at : at + length]
        body = body[:at] + (3 * part if text is None else text) + body[at + length :]
    return body


def values(fuzzed: Fuzzed, found: Found) -> list[bytes]:
    """The values of the events."""
    return [message.value for message in example.published(structs.replace(fuzzed.like, records=lambda: found))]


@pytest.mark.parametrize("name", FUZZED)
@given(changes=CHANGES)
def test_a_changed_response_is_refused_or_obeys_the_contract(name: str, changes: list[Any]) -> None:
    fuzzed = FUZZED[name]
    body = changed(fuzzed.body, changes)
    has_undocumented_form(body, 200)
    try:
        found = list(fuzzed.decode(body))
    except (msgspec.DecodeError, Split, RetryLater):
        return
    for message in example.published(structs.replace(fuzzed.like, records=lambda: found)):
        check_message(message)


@pytest.mark.parametrize("name", FUZZED)
@given(changes=CHANGES)
def test_decoding_a_response_twice_gives_the_same_events(name: str, changes: list[Any]) -> None:
    fuzzed = FUZZED[name]
    body = changed(fuzzed.body, changes)
    try:
        first = list(fuzzed.decode(body))
    except (msgspec.DecodeError, Split, RetryLater):
        return
    assert values(fuzzed, first) == values(fuzzed, list(fuzzed.decode(body)))
