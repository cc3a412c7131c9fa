"""Responses without rows in a form that the vendor does not document, such as `{}`. Pure: no requests, no clock.

For a window without data, a vendor may send `{"objects": null}`, `{}`, or the status 204. After a change of its format,
it may send the same for a window with data. The former must not stop a stream, and the latter must not let its
watermark advance past data that was never read.
"""

from collections.abc import Mapping
from datetime import timedelta

import msgspec
from msgspec import Struct

from collector.errors import RetryLater
from collector.model import Window
from collector.vendors.leniency import BYTE_ORDER_MARK

NO_CONTENT = 204
MAX_UNPROVEN = 20
"""The most consecutive responses in such a form that are accepted without a new proof."""
MAX_UNPROVEN_TIME = timedelta(days=1)
"""The longest time that these responses may cover together."""


class _NoRows(Struct, frozen=True, forbid_unknown_fields=True):
    """A response without rows in an undocumented form. Any other field, such as a message, is a reason to doubt it."""

    objects: None = None
    data: None = None
    total: int | None = None
    ok: int | bool | None = None


_decode_no_rows = msgspec.json.Decoder(_NoRows).decode


def has_undocumented_form(body: bytes, status: int) -> bool:
    """Whether a response has no rows, in a form that is not documented. It is malformed, or it means "no data"."""
    if status == NO_CONTENT:
        return not body
    try:
        decoded = _decode_no_rows(body.removeprefix(BYTE_ORDER_MARK))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return decoded.total in (None, 0) and decoded.ok in (None, 1)


class Request(Struct, frozen=True):
    """A request of a stream."""

    path: str
    query: Mapping[str, str]
    window: Window
    device: int | None = None
    """The device that the request selects; None for all."""


class Empties:
    """What one stream knows about its vendor's responses without rows.

    Such a response is accepted as empty once another request of this process has received rows: then the vendor is
    known to send rows in the documented form where it has any. That proof is repeated after `MAX_UNPROVEN` responses,
    or a day of the stream's time, without any response in the documented form.
    """

    def __init__(self) -> None:
        self._proof: Request | None = None
        self._unproven = 0
        self._covered: Window | None = None

    @property
    def has_proof(self) -> bool:
        """Whether a response in the documented form had rows."""
        return self._proof is not None

    def received(self, request: Request, rows: int) -> None:
        """The response to a request has the documented form, and this number of rows."""
        self._unproven, self._covered = 0, None
        if rows:
            self._proof = request

    def judge(self, request: Request) -> Request | None:
        """Judge a response without rows in an undocumented form. None: it is empty.

        Otherwise it is empty if the returned request, which received rows before, receives rows again. Raises
        RetryLater if nothing shows that it is empty, or if the window contains rows that were received before.
        """
        proof, window = self._proof, request.window
        if proof is None or (
            (request.path, request.device) == (proof.path, proof.device)
            and window.start <= proof.window.start
            and proof.window.end <= window.end
        ):
            raise undocumented()
        covered = self._covered or window
        self._covered = Window(min(covered.start, window.start), max(covered.end, window.end))
        self._unproven += 1
        is_proven = self._unproven <= MAX_UNPROVEN and self._covered.length <= MAX_UNPROVEN_TIME
        return None if is_proven else proof


def undocumented() -> RetryLater:
    """The error for a response without rows that may be malformed."""
    return RetryLater(
        "the response has no rows, in a form that is not documented, and nothing shows that this means no data",
        code="response_undocumented",
        advice="if it persists, the vendor has probably changed its format: install a newer version of the collector",
    )
