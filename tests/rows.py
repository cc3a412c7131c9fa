"""The rows of responses, what is left of work in steps when its steps are done, and the values of events."""

from collections.abc import Iterable
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from collector.model import Account, Event, Record, Reject
from collector.pipeline.message import Origin, event_message
from collector.steps import at_once
from collector.vendors.quividi import wire as quividi
from collector.vendors.quividi.viewers import LocatedViewer, read_viewer
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
    return published_rows(read_viewer(row, zone) for row in rows or ())


def value_of(event: Event, source: str = "mall") -> dict[str, Any]:
    """The decoded value of the message that the daemon publishes for an event."""
    origin = Origin(Account(event.type.name.partition(".")[0], "account"), source, "stream")
    decoded: dict[str, Any] = msgspec.json.decode(event_message(event, origin).value)
    return decoded
