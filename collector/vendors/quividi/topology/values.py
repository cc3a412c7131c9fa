"""The values in rows of an account's lists: limits of texts, numbers, local times and offsets. Pure."""

from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Annotated

from msgspec import Meta

from collector.vendors.leniency import understood
from collector.vendors.quividi.wire import Integer, Number, parse_local

Identifier = Annotated[int, Meta(ge=0, le=2**63 - 1)] | Annotated[str, Meta(pattern=r"^[0-9]{1,18}$")]
"""The vendor writes some numbers as text of digits in other responses, so both forms are accepted."""
Text = Annotated[str, Meta(max_length=1000)]
LongText = Annotated[str, Meta(max_length=10_000)]
"""A description, whose length the vendor does not limit."""
TextOrInteger = Text | Integer
"""A field that no example of the vendor shows."""
Seconds = Number | Text
"""A duration in seconds, which may be a decimal in a text."""

MAX_DURATION_S = 10 * 366 * 86_400
MINUTES_OF_OFFSET = range(15, 841)
"""The offsets from UTC, without their sign, that can only be minutes."""
SECONDS_OF_OFFSET = range(900, 50_401)
"""The same in seconds."""


def id_of(value: int | str | None) -> int | None:
    """The number, which may be written as text."""
    return None if value is None else int(value)


def text_of(value: int | str | None) -> str | None:
    """The text; None for an empty one, which the vendor sends for what is not set."""
    return None if value is None or value == "" else str(value)


def local_time(value: int | str | None, field: str, ignored: Counter[str] | None) -> str | None:
    """A time as the vendor writes it, with a T. None, and counted under the field's name, if it is no local time."""
    text = text_of(value)
    if text is None:
        return None
    return understood(ignored, field, lambda: _local_time(text, field))


def milliseconds(seconds: float | str | None, field: str, ignored: Counter[str] | None) -> int | None:
    """A duration in milliseconds. None, and counted under the field's name, if it is no duration."""
    if seconds is None or seconds == "":
        return None
    return understood(ignored, field, lambda: _milliseconds(seconds, field))


def utc_offset_s(offset: int | None, ignored: Counter[str] | None) -> int | None:
    """The offset of local time from UTC, in seconds, of the field `last_timezone`.

    The vendor's page called it minutes for years, while its examples were seconds. No offset can be both. None, and
    counted, for a number that is neither.
    """
    if offset is None:
        return None
    return understood(ignored, "last_timezone", lambda: _utc_offset_s(offset))


def _utc_offset_s(offset: int) -> int:
    if offset == 0 or abs(offset) in SECONDS_OF_OFFSET:
        return offset
    if abs(offset) in MINUTES_OF_OFFSET:
        return offset * 60
    raise ValueError("Expected an offset from UTC - at `$.last_timezone`")


def _local_time(text: str, field: str) -> str:
    parse_local(text, field)
    return text.replace(" ", "T", 1)


def _milliseconds(seconds: float | str, field: str) -> int:
    try:
        exact = Decimal(str(seconds))
    except InvalidOperation:
        exact = Decimal("NaN")
    if not (exact.is_finite() and 0 <= exact <= MAX_DURATION_S):
        raise ValueError(f"Expected a duration - at `$.{field}`")
    return round(exact * 1000)
