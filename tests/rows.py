"""The rows of responses, and what is left of work in steps when its steps are done."""

from collections.abc import Iterable
from typing import TypeVar
from zoneinfo import ZoneInfo

from collector.model import Record, Reject
from collector.steps import at_once
from collector.vendors.quividi import wire as quividi
from collector.vendors.quividi.wire import LocatedViewer
from collector.vendors.raw_rows import RawRows
from collector.vendors.seemetrix import wire as seemetrix

P = TypeVar("P")
T = TypeVar("T")


def without_steps(found: Iterable[T | None]) -> list[T]:
    """What was found, without the None of each other step."""
    return [each for each in found if each is not None]


def published_rows(rows: Iterable[Record[P] | Reject | None]) -> list[Record[P] | Reject]:
    """The rows that are published, or are dead letters."""
    return [each for each in rows if each is not None]


def session_rows(body: bytes) -> RawRows:
    return at_once(seemetrix.decode(body))


def export_rows(body: bytes) -> RawRows | None:
    return quividi.rows(at_once(quividi.decode_export(body)))


def read_viewers(rows: Iterable[bytes] | None, zone: ZoneInfo) -> list[Record[LocatedViewer] | Reject]:
    return published_rows(quividi.read_each(rows or (), zone, quividi.read_viewer))
