"""The forms in which the vendor writes the values of aggregated exports, and the event's form of each."""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from msgspec import Meta, Struct

from collector.vendors.quividi.wire import Identifier, Integer, Number


class Unit(Struct, frozen=True):
    """The type of a vendor's field, and its conversion to the event's field.

    `convert` returns None for a value that says nothing. It raises ValueError for one that cannot be understood.
    """

    wire: Any
    convert: Callable[[Any], Any]


MAX_AMOUNT = 10**15
"""Above any real value. Sums of counts still fit into 64 bits."""
_Count = Annotated[int, Meta(ge=0, le=MAX_AMOUNT)]
_Amount = _Count | Annotated[float, Meta(ge=0, le=MAX_AMOUNT)]
_SignedAmount = (
    Annotated[int, Meta(ge=-MAX_AMOUNT, le=MAX_AMOUNT)] | Annotated[float, Meta(ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
)
_TotalDuration = Annotated[int, Meta(ge=0, le=10**12)] | Annotated[float, Meta(ge=0, le=1e12)]
"""The sum of many durations. The bound is above any real value, and in milliseconds still fits into 64 bits."""
_DIGITS = re.compile("[0-9]{1,19}")


def _number(value: int | str) -> int:
    """An id, which the vendor writes as a number or as a text of digits. Raises ValueError for anything else."""
    if isinstance(value, str):
        if not _DIGITS.fullmatch(value) or int(value) >= 2**63:
            raise ValueError("Expected an id")
        return int(value)
    return value


def _share(value: float | str) -> float | None:
    """A number that the vendor writes as a decimal text, or as "-" where it has none. Raises ValueError."""
    if value == "-":
        return None
    try:
        share = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("Expected a decimal number") from None
    if not (share.is_finite() and 0 <= share <= MAX_AMOUNT):
        raise ValueError("Expected a number from 0")
    return float(share) + 0.0


def _word(value: float | str) -> str | None:
    """A text, or a number as a text: 3.0 is `3`. An empty text says nothing."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) or None


CODE = Unit(Integer, int)
NUMBER = Unit(Identifier, int)
PLACE = Unit(Identifier | str, _number)
"""In exports of vehicles' proof of play, ids are texts of digits."""
TEXT = Unit(str | Integer, lambda text: str(text) or None)
"""An empty text identifies nothing, as null."""
COUNT = Unit(_Count, int)
ESTIMATE = PERCENT = Unit(_Amount, lambda amount: float(amount) + 0.0)
"""Always a fraction in the event, and never -0.0: the vendor writes 3 in one export and 3.0 in the next."""
SIGNED_ESTIMATE = Unit(_SignedAmount, lambda amount: float(amount) + 0.0)
SHARE = Unit(_Amount | str, _share)
SECONDS = Unit(_TotalDuration, lambda seconds: round(seconds * 1000))
TENTHS = Unit(_TotalDuration, lambda tenths: round(tenths * 100))
WORD = Unit(str | Number, _word)
VERBATIM = Unit(str, str)
FLAG = Unit(bool, bool)
