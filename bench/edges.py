"""What the requests of Prometheus and of the status page cost the event loop of a replica with many streams.

    python -m bench.edges [STREAMS ...]

The server of the daemon serves the telemetry of so many streams. Meanwhile a task notes the longest time for which it
did not run.
"""

import sys
import time
import urllib.request
from collections.abc import Sequence
from datetime import timedelta

import anyio
import structlog
from anyio.lowlevel import checkpoint
from rich.console import Console
from rich.table import Table

from collector.clock import SystemClock
from collector.commands.run import tune_interpreter
from collector.instants import to_ms
from collector.model import Checkpoint, Tally, Window
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus, SourceStatus, StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors.seemetrix.events import TYPES
from collector.web.server import serve_http
from tests.kafka.broker import free_port

STREAMS = (500, 2000)
REQUESTS = 3
IDLE_S = 1.2
"""Longer than a response is sent again."""


class Ticker:
    """Notes the longest time between two passes of the event loop."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def run(self) -> None:
        last = time.perf_counter()
        while True:
            await checkpoint()
            now = time.perf_counter()
            self.longest_s = max(self.longest_s, now - last)
            last = now


def active(metrics: Metrics, streams: int) -> ProcessStatus:
    """The status of a process whose streams have polled some times."""
    status = ProcessStatus("0", "group")
    now = SystemClock().now()
    kinds = [each.name for each in TYPES]
    checkpoint_ = Checkpoint(since=now, watermark=now, final=now, span=timedelta(minutes=1), swept_at=now)
    for number in range(streams):
        source = f"account-{number:05}"
        row = StreamStatus("seemetrix", source, "sessions")
        status.streams.append(row)
        status.sources.append(SourceStatus("seemetrix", source))
        stream, vendor = StreamTelemetry(metrics, row, kinds), VendorTelemetry(metrics, source)
        stream.owned(checkpoint_, 10)
        for _ in range(REQUESTS):
            vendor.request_completed("200", 0.1 + number / 1e4, 12_345)
            tally = Tally({"fresh": 12, "duplicate": 3}, dict.fromkeys(kinds, 12), {}, [to_ms(now) - number])
            stream.committed(tally, checkpoint_, 10, now)
            stream.polled(Window(now, now), 12, 0.1 + number / 1e4, checkpoint_, behind=False, now=now)
        stream.missing_records(0, [])
    return status


async def measure(streams: int, table: Table) -> None:
    """Request each path some times; add its longest hold, and the fastest response."""
    metrics, ticker, port = Metrics(), Ticker(), free_port()
    status = active(metrics, streams)
    async with (
        serve_http(("127.0.0.1", port), status, metrics.registry, SystemClock()),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(ticker.run)
        for path in ("/metrics", "/api/status"):
            took_s, holds_s, size = [], [], 0
            for _ in range(REQUESTS):
                await anyio.sleep(IDLE_S)
                ticker.longest_s, started = 0.0, time.perf_counter()
                size = await anyio.to_thread.run_sync(_size, f"http://127.0.0.1:{port}{path}")
                took_s.append(time.perf_counter() - started)
                holds_s.append(ticker.longest_s)
            holds = ", ".join(f"{each * 1000:.0f}" for each in sorted(holds_s))
            table.add_row(f"{streams:,}", path, f"{size / 1e6:.2f}", f"{min(took_s) * 1000:.0f}", holds)
        tasks.cancel_scope.cancel()


def _size(url: str) -> int:
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})  # noqa: S310 - on loopback
    with urllib.request.urlopen(request) as response:  # noqa: S310
        return len(response.read())


def main(arguments: Sequence[str] = ()) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    tune_interpreter()
    table = Table("streams", "path", "MB, gzip", "ms", "longest holds of the event loop, ms")
    for streams in [int(each) for each in arguments] or STREAMS:
        anyio.run(measure, streams, table, backend_options={"use_uvloop": True})
    Console(highlight=False, width=110).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
