"""A process with one stream: its telemetry, and its HTTP server."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
from msgspec import Struct

from collector.model import Checkpoint, Policy, Window
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus, SourceStatus, StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.telemetry.vendor import VendorTelemetry
from collector.web.server import serve_http
from tests.kafka.broker import free_port
from tests.simulated import START, SimulatedClock

HOUR = timedelta(hours=1)
CHECKPOINT = Checkpoint(
    since=START - 24 * HOUR,
    watermark=START - timedelta(seconds=120),
    final=START - 20 * HOUR,
    span=6 * HOUR,
    swept_at=START - HOUR,
)
WINDOW = Window(START - HOUR, START - timedelta(seconds=120))


class Served(Struct):
    """A process with one stream, and a client of its HTTP server."""

    url: str
    kafka: KafkaTelemetry
    stream: StreamTelemetry
    vendor: VendorTelemetry
    clock: SimulatedClock
    session: aiohttp.ClientSession

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(self.url + path) as response:
            return response.status, await response.text()

    async def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await self.get("/api/status"))[1])
        return found


MINUTE = timedelta(minutes=1)
POLICY = Policy(interval=MINUTE, settle=2 * MINUTE, allowed_lateness=24 * HOUR, sweep_every=6 * HOUR, span=6 * HOUR)


@asynccontextmanager
async def one_stream() -> AsyncIterator[Served]:
    metrics, clock, port = Metrics(), SimulatedClock(), free_port()
    row = StreamStatus("seemetrix", "mall", "sessions", partition=3)
    source = SourceStatus("seemetrix", "mall", "seemetrix.example")
    process_status = ProcessStatus(
        "1.2.3", "counting", [row], [source], START - HOUR, "collector-0", "kafka.example:9092"
    )
    kafka = KafkaTelemetry(metrics, process_status, clock)
    stream = StreamTelemetry(metrics, row, ["seemetrix.session.v1"])
    stream.configured(POLICY)
    vendor = VendorTelemetry(metrics, "mall", source)
    async with (
        serve_http(("127.0.0.1", port), process_status, metrics.registry, clock, max_age_s=0),
        aiohttp.ClientSession() as session,
    ):
        yield Served(f"http://127.0.0.1:{port}", kafka, stream, vendor, clock, session)
