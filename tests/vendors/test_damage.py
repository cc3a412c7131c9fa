"""Damage of one row costs that row. Tested on the bytes of the documents' examples."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.steps import at_once
from collector.vendors import damage
from collector.vendors.quividi import wire as quividi
from collector.vendors.seemetrix import breakdown, devices, statistics
from tests import rows
from tests.vendors.quividi import aggregated, finest
from tests.vendors.quividi.example import PRO_RESPONSE
from tests.vendors.seemetrix import documented
from tests.vendors.seemetrix.example import RAW_DATA

Rows = Callable[[bytes], Sequence[bytes]]
"""Returns the rows of a response, as the vendor's bytes."""


def session_rows(body: bytes) -> list[bytes]:
    return list(rows.session_rows(body))


def device_rows(body: bytes) -> list[bytes]:
    return [row for _, group, _ in at_once(devices.decode(body)).groups for row in group]


def hour_rows(body: bytes) -> list[bytes]:
    return list(at_once(statistics.decode(body)).objects)


def node_rows(body: bytes) -> list[bytes]:
    return list(breakdown.children(at_once(breakdown.decode(body))))


def export_rows(body: bytes) -> list[bytes]:
    found = rows.export_rows(body)
    assert found is not None
    return list(found)


def three_sessions() -> bytes:
    [session] = json.loads(RAW_DATA)["objects"]
    return json.dumps({"objects": [session | {"o": number} for number in range(3)]}).encode()


def three_nodes(*, as_objects: bool) -> bytes:
    tree = json.loads(documented.FULL_TREE)
    [node] = tree["data"]["o"]
    nodes = [node | {"n": str(number)} for number in (1842, 1843, 1844)]
    tree["data"]["o"] = {node["n"]: node for node in nodes} if as_objects else nodes
    return json.dumps(tree).encode()


RESPONSES: dict[str, tuple[bytes, Rows]] = {
    "sessions": (three_sessions(), session_rows),
    "devices": (documented.DEVICES, device_rows),
    "statistics": (documented.USER_STATISTICS, hour_rows),
    "nodes": (three_nodes(as_objects=False), node_rows),
    "nodes by name": (three_nodes(as_objects=True), node_rows),
    "viewers (PRO)": (PRO_RESPONSE, export_rows),
    **{stream: (response, export_rows) for stream, response in finest.RESPONSES.items()},
    **{stream: (response, export_rows) for stream, response in aggregated.ALL_EXAMPLES.items()},
}


def places(body: bytes, rows: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """The first byte of each row, and the byte after it."""
    for row in rows:
        at = body.index(row)
        yield at, at + len(row)


def values(rows: Sequence[bytes]) -> list[Any]:
    """What the rows contain; the row itself where it is not JSON."""
    found = []
    for row in rows:
        try:
            found.append(msgspec.json.decode(row))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found.append(row)
    return found


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize("damage", [b"x", b'"', b"}", b"]", b"{", b"[", b",", b"\\", b"\xe9", b"\x01", b" "])
def test_a_damaged_byte_of_a_row_costs_that_row_alone(name: str, damage: bytes) -> None:
    if name == "nodes by name" and damage == b" ":
        pytest.skip("without the brace at its end, a node contains the next ones, which is valid")
    body, rows_of = RESPONSES[name]
    rows = rows_of(body)
    for number, (first, end) in enumerate(places(body, rows)):
        neighbours = values([*rows[:number], *rows[number + 1 :]])
        for at in range(first, end, 1 if damage in MOST_HARMFUL else 11):
            got = values(rows_of(body[:at] + damage + body[at + 1 :]))
            assert [] == [each for each in neighbours if each not in got], (number, at - first)


MOST_HARMFUL = (b'"', b"}")

ANY_BYTES = st.binary(max_size=20).filter(lambda row: row.strip(b" \t\n\r,"))
BAD_ROWS = (
    b"null",
    b"5",
    b'"text"',
    b"[]",
    b"{}",
    b'{"n":"caf\xe9"}',
    rb'{"n":"half \ud83d"}',
    rb'{"n":"\q"}',
    b'{"n":"\x01"}',
    b'{"n":NaN}',
    b'{"n":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"n":' + b'{"n":' * 5000 + b"1" + b"}" * 5000 + b"}",
    b'{"n":1',
    b'{"n":1}}',
    b'{"n":[1}',
)


@pytest.mark.parametrize("name", [name for name in RESPONSES if name != "nodes by name"])
@given(
    row=st.sampled_from(BAD_ROWS) | st.binary(max_size=20).filter(lambda row: row.strip(b" \t\n\r,")),
    which=st.integers(0, 100),
)
def test_any_bytes_instead_of_a_row_cost_that_row_alone(name: str, row: bytes, which: int) -> None:
    body, rows_of = RESPONSES[name]
    rows = rows_of(body)
    number = which % len(rows)
    first, end = list(places(body, rows))[number]
    got = values(rows_of(body[:first] + row + body[end:]))
    assert [] == [each for each in values([*rows[:number], *rows[number + 1 :]]) if each not in got]


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_that_was_cut_off_is_not_accepted(name: str) -> None:
    body, rows_of = RESPONSES[name]
    for end in range(len(body.rstrip()) - 1):
        with pytest.raises((msgspec.DecodeError, AssertionError)):
            rows_of(body[:end])


def test_a_damaged_row_keeps_the_bytes_of_the_vendor() -> None:
    row = b'{"d":1,"o":2,"b":"2019-07-01T11:16:07","n":"caf\xe9", x}'
    body = b'{"objects":[{"d":1,"o":1,"b":"x"}, ' + row + b' ,{"d":1,"o":3,"b":"x"}]}'

    assert [b'{"d":1,"o":1,"b":"x"}', row, b'{"d":1,"o":3,"b":"x"}'] == session_rows(body)


def test_damage_in_many_places_is_found_in_bounded_time() -> None:
    body = b'{"objects":[' + b'{"a":' * 200_000 + b"]}"

    with pytest.raises(msgspec.DecodeError):
        session_rows(body)


DEEP = b'{"a":[' * 400
SLOW = {
    "braces": b'{"objects":[' + b"{" * 2_000_000,
    "brackets": b'{"objects":[x' + b"]," * 1_000_000,
    "long rows": b'{"objects":[x' + DEEP + b"0," * 1_000_000 + b"x",
    "long objects that are no rows": b'{"objects":[x' + DEEP + b"0," * 1_000_000 + b"0" + b"]}" * 400 + b"]}",
    "spread nesting": b'{"objects":[x' + (b'{"a":[' + b"0," * 1000) * 1000,
    "rows, then ends": b'{"objects":[' + b'{"d":1,"o":2,"b":3},' * 50_000 + b"x" + b"]," * 500_000,
}


@pytest.mark.parametrize("name", SLOW)
def test_the_time_to_find_rows_is_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damage, "MIN_BUDGET", 0)
    body, spent, spend = SLOW[name], list[int](), damage._Reader._spend

    def counted(reader: damage._Reader, characters: int) -> None:
        spent.append(characters)
        spend(reader, characters)

    monkeypatch.setattr(damage._Reader, "_spend", counted)
    with pytest.raises(msgspec.DecodeError):
        session_rows(body)
    assert len(spent) < len(body) // 10
    assert sum(spent) < 10 * damage.MAX_READINGS * len(body)


def test_many_damaged_rows_cost_no_other_row() -> None:
    good, bad = b'{"d":1,"o":2,"b":3}', b'x{"d":1,"o":2,"b'
    rows = session_rows(b'{"objects":[' + b",".join([good, bad] * 12_000 + [good]) + b"]}")

    assert 12_001 == rows.count(good)


@pytest.mark.parametrize("text", [b"[" * 400 + b"]" * 400, b'{"a":1}', b"5", b'"caf\xe9"', b"null"])
def test_the_reason_of_a_failure_may_be_anything(text: bytes) -> None:
    export = at_once(quividi.decode_export(b'{"state":"failed","error":[],"fail_reason":%b}' % text))

    assert ("failed", True) == (export.state, export.reason in ("", "caf\ufffd"))


@pytest.mark.parametrize("depth", range(100, 1500, 100))
def test_nesting_around_damaged_rows_is_no_other_error(depth: int) -> None:
    body = b'{"state":"failed","x":"\xe9","fail_reason":' + b"[" * depth + b"]" * depth + b"}"

    with suppress(msgspec.DecodeError):
        assert "failed" == at_once(quividi.decode_export(body)).state


def test_a_name_with_an_escape_may_be_among_the_text_around_rows() -> None:
    assert [b"{}", b'{"n":"\xe9"}'] == session_rows(b'{"caf\\u00e9 \\"":1,"objects":[{},{"n":"\xe9"}]}')


@pytest.mark.parametrize("space", [b" ", b"\n\t", b'"" : '])
def test_spaces_in_nested_objects_can_be_matched_in_one_way_only(space: bytes) -> None:
    """With a second way at each level, the time would double with each level."""
    body = b'{"objects":[x' + (b"{" + space) * 200 + b'"' + b"y" * 300 + b"]}"

    with suppress(msgspec.DecodeError):
        session_rows(body)
