"""What a hostile vendor sends. Each attack has an account, so that one can follow another."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from msgspec import Struct

MAX_BYTES = 16_000_000
"""Just below the default of max_response_bytes."""
NOW = datetime.now(UTC).replace(microsecond=0)

Row = Callable[[int], bytes]
"""Returns the row with a number."""


class Attack(Struct, frozen=True):
    """What replaces the rows of a response, or the whole response."""

    row: Row | None = None
    rows: int = 0
    """How many rows; 0 for as many as fit."""
    tail: bytes = b""
    """What follows the last row."""
    raw: Callable[[], Iterator[bytes]] | None = None
    """The bytes of a whole response, with its head, instead of rows."""
    compressed: bool = False


def _constant(row: bytes) -> Row:
    return lambda _: row


def _time(seconds: int) -> str:
    return (NOW - timedelta(seconds=10) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def _row(number: int, **changes: object) -> bytes:
    """A row that is valid in the response to each request: of sessions, devices, hours, groups and viewers."""
    fields = {
        "d": number % 500,
        "o": number,
        "b": _time(0),
        "e": _time(1),
        "n": str(number),
        "v": 1,
        "vd": 2,
        "t": 3,
        "i": {"y": NOW.year, "m": NOW.month, "d": NOW.day, "h": NOW.hour},
        "location_id": 7,
        "id": number,
        "period_start": _time(0).replace("T", " "),
        "start_time": _time(0),
        "gender": 1,
        "age": 1,
        "contents": [],
        "dwell_time": number,
        "attention_time": 2,
    }
    return json.dumps(fields | changes).encode()


def _session(number: int, **changes: object) -> bytes:
    return json.dumps({"d": number % 500, "o": number, "b": _time(0), "e": _time(1)} | changes).encode()


INTERVALS = [{"a": 1, "d": 1}] * 60_000
NODE = {"n": "7", "t": None, "v": 1, "vd": 2}
ROWS: Mapping[str, Attack] = {
    "numbers": Attack(_constant(b"0"), compressed=True),
    "empty objects": Attack(_constant(b"{}"), compressed=True),
    "empty lists": Attack(_constant(b"[]"), compressed=True),
    "a million rows": Attack(_constant(b"{}"), 1_000_000, compressed=True),
    "numbers, then damage": Attack(_constant(b"0"), tail=b",x", compressed=True),
    "empty lists, then damage": Attack(_constant(b"[]"), tail=b",x", compressed=True),
    "open braces": Attack(_constant(b'{"a":[{'), 1_000_000, tail=b"x", compressed=True),
    "as many sessions as allowed": Attack(_session, 49_000),
    "as many rejects as fit": Attack(lambda number: b'{"d":%d}' % number, 50_000),
    "rows of every kind": Attack(_row, 20_000),
    "versions of one key": Attack(lambda number: _session(0, o=0, i=number), 50_000),
    "long rows": Attack(lambda number: _session(number, at=INTERVALS), 16),
    "a row as long as the response": Attack(_constant(b'{"at":[%b0]}' % (b"0," * 5_000_000)), 1),
    "a row of lists": Attack(_constant(b'{"at":[%b[]]}' % (b"[]," * 5_000_000)), 1),
    "a deep tree": Attack(_constant(b'{"n":1,"v":1,"vd":1,"o":[' * 100_000), 1),
    "a wide tree": Attack(_constant(json.dumps(NODE | {"o": [NODE] * 300_000}).encode()), 1),
    "spaces in nested objects": Attack(_constant(b"x" + b"{ " * 40 + b'"' + b"y" * 300), 1),
    "long names in a tree": Attack(_constant(json.dumps(NODE | {"n": "x" * 800_000, "o": [NODE] * 1000}).encode()), 1),
    "many nodes below a long name": Attack(
        _constant(json.dumps(NODE | {"n": "x" * 999, "o": [NODE] * 70_000}).encode()), 1
    ),
    "lists in side fields": Attack(lambda number: _session(number, em=[{"e": []}] * 100_000), 15),
    "a long name and a long type": Attack(
        lambda number: json.dumps(NODE | {"n": f"{number}" + "x" * 900_000, "t": "y" * 2_000_000}).encode(), 5
    ),
    "devices at the end of the calendar": Attack(
        lambda number: _row(number, created="Fri, 31 Dec 9999 23:59:59 -2300"), 2000
    ),
    "parts of one key": Attack(
        _constant(_row(0, contents=[{"content_id": n, "dwell_time": 1, "attention_time": 1} for n in range(9000)])), 15
    ),
    "the far future": Attack(lambda number: _session(number, b="2036-01-01T00:00:00", e="2036-01-01T00:00:01"), 50_000),
    "escaped percent signs": Attack(lambda number: _session(number, x="%25" * 300_000), 16),
    "escaped backslashes": Attack(lambda number: _session(number, x="\\" * 400_000), 16),
    "entities": Attack(lambda number: _session(number, x="&amp;" * 190_000), 16),
    "long names": Attack(lambda number: _session(number, n="x" * 900_000), 16),
}


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _informational() -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n" * 1000


def _tiny_chunks() -> Iterator[bytes]:
    yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"1\r\n \r\n" * 10_000


def _chunk_extensions() -> Iterator[bytes]:
    yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    while True:
        yield (b"1;" + b"x" * 4000 + b"\r\n \r\n") * 10


def _headers() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X-Header: value\r\n" * 1000


def _endless() -> Iterator[bytes]:
    yield HEAD + b"\r\n{"
    while True:
        yield b" " * 65536


def _bomb() -> Iterator[bytes]:
    yield HEAD + b"Content-Encoding: gzip\r\n\r\n"
    yield gzip.compress(b" " * 200_000_000, 1)


TRANSPORT: Mapping[str, Attack] = {
    "informational responses": Attack(raw=_informational),
    "tiny chunks": Attack(raw=_tiny_chunks),
    "chunk extensions": Attack(raw=_chunk_extensions),
    "headers without end": Attack(raw=_headers),
    "a body without end": Attack(raw=_endless),
    "a compressed flood": Attack(raw=_bomb),
}
ATTACKS: Mapping[str, Attack] = {**ROWS, **TRANSPORT}


def slug(name: str) -> str:
    """The name of an attack as it is in URLs."""
    return name.replace(",", "").replace(" ", "-")


BY_SLUG = {slug(name): attack for name, attack in ATTACKS.items()}

_FORMS = (
    ("/raw/data/", b'{"objects":[%b]}'),
    ("/v2/", b'{"ok":1,"data":{"o":[%b]}}'),
    ("/devices/", b'{"online":[%b],"offline":[],"frozen":[]}'),
    ("/statistics/", b'{"objects":[%b]}'),
    ("/counters", b'{"usr_num":1,"x":[%b]}'),
    ("/data/", b'{"state":"finished","data":[%b]}'),
    ("/locations/", b"[%b]"),
)


def form_of(path: str) -> bytes:
    """The text around the rows of the response to a request."""
    return next((form for part, form in _FORMS if part in path), b"{%b}")


@lru_cache(maxsize=2)
def rows_of(name: str, scale: int = 1) -> bytes:
    """The rows of an attack, by its slug, with commas between them, and its tail. `scale` divides their number."""
    attack = BY_SLUG[name]
    if attack.row is None:
        raise AssertionError(f"{name} has no rows")
    first = attack.row(0)
    count = 1 + (attack.rows or MAX_BYTES // (len(first) + 1)) // scale
    rows = [first] * count if attack.row(1) == first else [attack.row(number) for number in range(count)]
    return b",".join(rows) + attack.tail


def body_of(name: str, path: str, scale: int = 1) -> bytes:
    """The body of the response to a request."""
    return form_of(path) % rows_of(name, scale)
