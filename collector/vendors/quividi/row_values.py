"""Decodes a row of an export whose type is configured by hand: any JSON object that has a place and a time.

An absent field is the same as a null one, a whole float the same as the integer, and the order of fields does not
matter. A value that cannot be understood is null, unless it identifies the row.
"""

import json
from collections import Counter
from collections.abc import Mapping
from functools import partial
from hashlib import blake2b
from math import isfinite
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from collector.vendors.leniency import MalformedRow, RowDecoder, understood
from collector.vendors.quividi.units import PLACE

MAX_ROW_BYTES = 64 << 10
"""The longest row. Nothing is known of its fields, so each value is converted in Python, which takes about 50 ms."""
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1
"""The integers that a fingerprint can contain."""

_decode = RowDecoder(dict[str, Any])


class RowForm(Struct, frozen=True, kw_only=True):
    """The rows of one stream, as its table describes them, and what the source selects."""

    stream: str
    data_type: str
    resolution: str
    is_finest: bool
    time: str = "period_start"
    """The field with the local time. Fields with the same name and `_date`, `_time` may replace it."""
    place: str | None = "location_id"
    """The field with the place; None if rows have none."""
    key: tuple[str, ...] = ()
    ignore: frozenset[str] = frozenset()
    user: str = ""
    selection: str = ""
    """A digest of what the source selects, for rows without a place."""
    options: str = ""
    """Describes the further arguments of the request, as identities contain it."""

    @property
    def time_fields(self) -> tuple[str, str, str]:
        return self.time, f"{self.time}_date", f"{self.time}_time"

    @property
    def is_identified_by_all(self) -> bool:
        """Whether all compared fields of a row are its identity."""
        return self.is_finest and not self.key


class DecodedRow(Struct, frozen=True, gc=False):
    """A row whose time is not converted yet."""

    place: int | None
    time: str
    """As the vendor writes it."""
    key: str
    """The fields that identify the row beside place and time: `<name>=<value>` for each, or a digest of all."""
    others: Mapping[str, Any]
    """The fields in the fingerprint, without nulls."""
    is_placeholder: bool
    """Whether all compared fields are null."""
    text: str
    """The row as JSON, with sorted fields."""

    @property
    def fingerprint(self) -> bytes:
        return msgspec.msgpack.encode(self.others, order="deterministic")


def decode_row(raw: bytes, form: RowForm, ignored: Counter[str] | None) -> DecodedRow:
    """Decode a row. Raises ValueError that names the field. Counts other values that are set to null in `ignored`."""
    if len(raw) > MAX_ROW_BYTES:
        raise MalformedRow(f"longer than {MAX_ROW_BYTES} bytes")
    try:
        return _decoded(_decode(raw), form, ignored)
    except RecursionError:
        raise MalformedRow("nested too deeply") from None


def place_of(raw: bytes, form: RowForm) -> str | None:
    """The place of a malformed row, which is its message key; None where it cannot be read."""
    try:
        place = _place(_decode(raw), form)
    except (ValueError, RecursionError):
        return None
    return None if place is None else str(place)


def _decoded(fields: dict[str, Any], form: RowForm, ignored: Counter[str] | None) -> DecodedRow:
    place, time = _place(fields, form), _time(fields, form)
    apart = {form.place, *form.time_fields}
    values: dict[str, Any] = {}
    for name, value in fields.items():
        is_identity = name in form.key or (form.is_identified_by_all and name not in form.ignore)
        read = partial(_comparable, value, name)
        found = read() if is_identity or name in apart else understood(ignored, name, read)
        if found is None:
            fields[name] = None
        elif name not in apart:
            values[name] = found
    compared = {name: value for name, value in values.items() if name not in form.ignore and name not in form.key}
    if form.is_identified_by_all:
        key, others = _digest(compared), {name: value for name, value in values.items() if name in form.ignore}
    else:
        others = compared if not form.is_finest else {k: v for k, v in values.items() if k not in form.key}
        key = _key(fields, values, form, may_be_absent=not compared)
    is_placeholder = not compared and values.keys().isdisjoint(form.key)
    return DecodedRow(place, time, key, others, is_placeholder, _json(fields))


def _place(fields: Mapping[str, Any], form: RowForm) -> int | None:
    if form.place is None:
        return None
    value = fields.get(form.place)
    if value is None:
        raise MalformedRow(f"Object missing required field `{form.place}`")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_id = isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63)
    try:
        if not is_id:
            raise ValueError("Expected an id")  # noqa: TRY301 - as the error of the call below
        place: int = PLACE.convert(value)
    except ValueError as error:
        raise MalformedRow(f"{error} - at `$.{form.place}`") from None
    return place


def _time(fields: Mapping[str, Any], form: RowForm) -> str:
    """The local time, as the vendor writes it in one field or in two."""
    whole, day, clock = (fields.get(name) for name in form.time_fields)
    if whole is None and isinstance(day, str) and isinstance(clock, str):
        return f"{day}T{clock}"
    if whole is None:
        raise MalformedRow(f"Object missing required field `{form.time}`")
    if not isinstance(whole, str):
        raise MalformedRow(f"Expected a date and time - at `$.{form.time}`")
    return whole


def _key(fields: Mapping[str, Any], values: Mapping[str, Any], form: RowForm, *, may_be_absent: bool) -> str:
    """The fields of the key. A row without any numbers may lack them."""
    parts = []
    for name in form.key:
        if name not in fields and not may_be_absent:
            raise MalformedRow(f"Object missing required field `{name}`")
        value = values.get(name)
        text = value if isinstance(value, str) else _json(value)
        parts.append(quote(name, safe="") + ("" if value is None else f"={quote(text, safe='')}"))
    return "/".join(parts)


def _comparable(value: Any, field: str) -> Any:  # noqa: ANN401 - any JSON
    """The value as identities and fingerprints contain it. Raises ValueError for one that no field can have."""
    match value:
        case None | bool() | str():
            return value
        case int() if _MIN_INTEGER <= value <= _MAX_INTEGER:
            return value
        case float() if isfinite(value):
            return int(value) if value.is_integer() and _MIN_INTEGER <= value <= _MAX_INTEGER else value
        case list():
            return [_comparable(each, field) for each in value]
        case dict():
            found = {name: _comparable(each, field) for name, each in value.items()}
            return {name: each for name, each in found.items() if each is not None}
        case _:
            raise MalformedRow(f"Expected text in UTF-8 or a number of 64 bits - at `$.{field}`")


def _digest(values: Mapping[str, Any]) -> str:
    return blake2b(msgspec.msgpack.encode(values, order="deterministic"), digest_size=16).hexdigest()


def _json(value: Any) -> str:  # noqa: ANN401 - any JSON
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
