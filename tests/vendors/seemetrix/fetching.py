"""One stream of a source over HTTP, and the events of its records."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from collector.model import Record, Reject, Window
from collector.pipeline.message import record_digest
from collector.telemetry.metrics import Metrics
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors.base import Stream
from collector.vendors.http import http
from collector.vendors.seemetrix.settings import SeemetrixSource
from collector.vendors.seemetrix.streams import streams
from tests.rows import published_rows, value_of
from tests.simulated import SimulatedClock
from tests.vendors.loopback import KEY, Handler, responding, serving


@asynccontextmanager
async def stream_of(
    url: str, name: str, table: dict[str, object], metrics: Metrics | None = None, **settings: object
) -> AsyncIterator[Stream[Any]]:
    given = {"vendor": "seemetrix", "base_url": f"{url}/api", "user_id": 632, "user_key": KEY, "timeout": "1s"}
    source = SeemetrixSource.model_validate(given | {"streams": {name: table}} | settings)
    async with http(SimulatedClock()) as client:
        [stream] = streams("lobby", source, client, VendorTelemetry(metrics or Metrics(), "lobby"))
        yield stream


async def fetched(
    handler: Handler | bytes,
    name: str,
    window: Window,
    table: dict[str, object] | None = None,
    metrics: Metrics | None = None,
    **settings: object,
) -> list[Record[Any] | Reject]:
    """The rows of all results for a window."""
    served = responding(handler) if isinstance(handler, bytes) else handler
    async with serving(served) as url, stream_of(url, name, table or {}, metrics, **settings) as stream:
        return [row async for result in stream.fetch(window) for row in published_rows(result.records)]


async def events(
    handler: Handler | bytes,
    name: str,
    window: Window,
    table: dict[str, object] | None = None,
    **settings: object,
) -> list[dict[str, Any]]:
    """The encoded values of the events of all rows, without the common fields."""
    served = responding(handler) if isinstance(handler, bytes) else handler
    found = []
    async with serving(served) as url, stream_of(url, name, table or {}, None, **settings) as stream:
        async for result in stream.fetch(window):
            for row in published_rows(result.records):
                assert isinstance(row, Record), row
                digest = record_digest(stream.dedup_mode, row, 0, stream.account)
                for event in stream.explode(row, digest, 0):
                    value = value_of(event)
                    assert list(value)[:4] == ["event_id", "type", "vendor", "source"]
                    common = [value.pop(name) for name in list(value)[:4]]
                    assert [event.id, event.type.name, "seemetrix", "mall"] == common
                    assert event.id.startswith(digest)
                    found.append({"key": event.key, "subject": event.subject, "time": event.time, **value})
    return found
