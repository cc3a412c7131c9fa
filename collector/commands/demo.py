"""`collector demo`: the simulated vendors, a broker, the daemon, and a reader that checks what is published."""

import importlib.util
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import anyio
import msgspec
from msgspec import structs
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from collector.app import Daemon
from collector.clock import SystemClock
from collector.commands.progress import Progress, progress
from collector.commands.simulate import FIRST_DEVICE, make_rules
from collector.commands.verdict import ReceivedEvents, Verdict, judge
from collector.config import Settings
from collector.errors import UserError
from collector.instants import floor_second
from collector.kafka.connection import UNAVAILABLE
from collector.kafka.diagnosis.brokers import diagnose
from collector.kafka.reader import ConsumedMessage, follow
from collector.kafka.settings import EmbeddedKafka, KafkaSettings
from collector.kafka.topics import admin
from collector.model import Checkpoint
from collector.plurals import counted
from collector.simulator import broker
from collector.simulator.server import Simulated, serving
from collector.simulator.world import FAST, World
from collector.telemetry.log import configure
from collector.telemetry.status import StreamStatus
from collector.web.settings import HttpSettings

HISTORY = timedelta(minutes=10)
"""The demo starts with this much history. It is published at once, and is final within seconds."""
RATE = 300.0
"""Visits per hour and device: events arrive continuously, but slowly enough to be read."""
ZONE = "Asia/Tokyo"
"""A zone without clock changes. In an hour that occurs twice, local times would not identify records."""
RULES = structs.replace(make_rules(fast=True), zone=ZONE)
MAX_LINES_PER_SECOND = 8
SUMMARY_INTERVAL_S = 5.0
MAX_EMPTY_POLLS = 5
"""The reader is at the end of the topics after this many consecutive polls without a message: about a second."""
READ_TIMEOUT_S = 15.0
BROKER_TIMEOUT_S = 20.0
# Late visits of this world are uploaded within 15 seconds of their start.
_STREAM_SETTINGS = {"settle": "2s", "allowed_lateness": "20s", "sweep_every": "4s"}


class _Reader:
    """Reads the published events until it is cancelled, and prints some of them."""

    def __init__(self, settings: Settings, out: Console, progress_line: Progress) -> None:
        self.received = ReceivedEvents()
        self._settings = settings
        self._out = out
        self._progress_line = progress_line
        self._empty_polls = 0

    async def run(self) -> None:
        topics = sorted(self._settings.topics())
        # The lines that may still be printed within the second that started at `second`.
        budget, second = MAX_LINES_PER_SECOND, anyio.current_time()
        while True:
            try:
                async for messages in follow(self._settings.kafka, topics):
                    self._empty_polls = 0 if messages else self._empty_polls + 1
                    for message in messages:
                        self.received.add(message)
                    if anyio.current_time() - second >= 1:
                        budget, second = MAX_LINES_PER_SECOND, anyio.current_time()
                    # Evenly spaced messages, at most as many as the budget allows.
                    shown = messages[:: 1 + len(messages) // (budget + 1)][:budget]
                    if shown:
                        with self._progress_line.paused():
                            self._out.print("\n".join(map(_line, shown)))
                    budget -= len(shown)
            except UNAVAILABLE:
                await anyio.sleep(1)

    async def until_end(self) -> None:
        """Return when no message has arrived for a while: the reader cannot detect the end of a transactional topic."""
        self._empty_polls = 0
        with anyio.move_on_after(READ_TIMEOUT_S):
            while self._empty_polls < MAX_EMPTY_POLLS:  # noqa: ASYNC110 - polls happen in another task
                await anyio.sleep(0.1)


def demo(*, seconds: float | None, kafka: str | None) -> bool:
    """Run until SIGINT, SIGTERM or the given time.

    Returns whether records were simulated, and none is missing or duplicated.

    Raises UserError when the broker cannot be used.
    """
    if kafka is None and importlib.util.find_spec("confluent_kafka") is None:
        text = "the embedded broker is not installed: pip install 'collector[demo]', or use --kafka host:port"
        raise UserError(text, code="embedded_broker_not_installed")
    configure("warning", "console")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return anyio.run(_demo, seconds, kafka)


async def _demo(seconds: float | None, kafka: str | None) -> bool:
    with progress("starting a broker") as progress_line:
        verdict, checkpoints = await _run(seconds, kafka, progress_line)
    _print_verdict(Console(highlight=False, soft_wrap=True), verdict, checkpoints)
    return verdict.is_good


async def _run(
    seconds: float | None, kafka: str | None, progress_line: Progress
) -> tuple[Verdict, Mapping[str, Checkpoint | None]]:
    """Run the demo; return the verdict, and the last checkpoint of each source."""
    out = Console(highlight=False, soft_wrap=True)
    world = World(devices=tuple(range(FIRST_DEVICE, FIRST_DEVICE + 3)), rate=RATE, pace=FAST)
    since = floor_second(datetime.now(UTC) - HISTORY)
    async with _broker(kafka) as brokers, serving(world, host="127.0.0.1", port=0, rules=RULES) as simulated:
        settings = _settings(brokers, simulated, since)
        with progress_line.paused():
            _print_addresses(out, settings, simulated, kafka)
        progress_line.show("starting the daemon")
        reader = _Reader(settings, out, progress_line)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader.run)
            daemon = Daemon(settings, SystemClock())
            async with anyio.create_task_group() as running:
                running.start_soon(daemon.run)
                running.start_soon(_summarize, daemon, reader.received, out, progress_line)
                await _until_stopped(seconds)
                with progress_line.paused():
                    out.print("[dim]stopping: the daemon commits, then the reader reads to the end[/dim]")
                checkpoints = {row.source: row.checkpoint for row in daemon.process_status.streams}
                running.cancel_scope.cancel()
            progress_line.show("reading to the end")
            await reader.until_end()
            tasks.cancel_scope.cancel()
    return judge(simulated.vendors, since, checkpoints, reader.received), checkpoints


@asynccontextmanager
async def _broker(kafka: str | None) -> AsyncIterator[KafkaSettings]:
    """The user's broker, with a topic prefix that is new for each demo; or the embedded broker. Raises UserError."""
    if kafka is not None:
        settings = _user_broker(kafka)
        try:
            async with admin(settings):
                pass
        except UNAVAILABLE:
            cause = (await diagnose(settings)).cause
            raise UserError(f"--kafka {kafka}: {cause}", code="broker_unavailable") from None
        yield settings
        return
    command = [sys.executable, "-m", broker.__name__]
    # In a session of its own: a terminal sends Ctrl-C to this session, and the broker must outlive the daemon.
    async with await anyio.open_process(
        command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        if process.stdout is None:
            raise AssertionError("stdout of the broker is a pipe")
        try:
            with anyio.fail_after(BROKER_TIMEOUT_S):
                address = (await process.stdout.receive()).decode().strip()
        except (TimeoutError, anyio.EndOfStream) as error:
            text = "the embedded broker does not start: use your own with --kafka host:port"
            raise UserError(text, code="embedded_broker_failed") from error
        try:
            yield EmbeddedKafka(bootstrap_servers=address, state_partitions=broker.PARTITIONS)
        finally:
            process.kill()


def _user_broker(kafka: str) -> KafkaSettings:
    name = f"demo-{uuid4().hex[:8]}"
    try:
        return KafkaSettings(bootstrap_servers=kafka, topic_prefix=f"{name}.", group=name, state_partitions=4)
    except ValidationError:
        text = f"--kafka {kafka}: expected host:port, such as localhost:9092"
        raise UserError(text, code="invalid_address") from None


def _settings(kafka: KafkaSettings, simulated: Simulated, since: datetime) -> Settings:
    sources: dict[str, Any] = {
        vendor.source: {
            **vendor.source_table(),
            "base_url": simulated.url(vendor.vendor),
            "since": since,
            "timeout": "5s",
            "max_requests_per_minute": RULES.calls_per_minute,
            "streams": {vendor.main_stream: {"interval": vendor.demo_interval, **_STREAM_SETTINGS}},
        }
        for vendor in simulated.vendors
    }
    listen = HttpSettings(listen=f"127.0.0.1:{_free_port()}")
    return Settings(kafka=kafka, http=listen, sources=sources)


def _free_port() -> int:
    """The default port of the daemon if it is free, else any free port."""
    for port in (9464, 0):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(candidate.getsockname()[1])
    raise UserError("no port is free on 127.0.0.1", code="no_free_port")


def _print_addresses(out: Console, settings: Settings, simulated: Simulated, kafka: str | None) -> None:
    where = f"Kafka at {kafka}, topics {settings.kafka.topic_prefix}*" if kafka else "an embedded broker"
    address = f"http://{settings.http.listen}"
    count = len(simulated.vendors)
    out.print(
        f"[bold]collector demo[/bold]: {count} simulated vendors at {simulated.address}, {where}, and the daemon."
    )
    out.print(f"Status page {address}/, metrics {address}/metrics. Press Ctrl-C to end.\n")


async def _until_stopped(seconds: float | None) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals, anyio.move_on_after(seconds):
        async for _ in signals:
            return


def _line(message: ConsumedMessage) -> str:
    """A message as a line of the output, in rich's markup."""
    data: dict[str, Any] = msgspec.json.decode(message.value)
    event_type = message.headers["ce_type"]
    is_record = "record_id" in data and "position" not in data
    colour = "red" if event_type.endswith(".dead_letter.v1") else "green" if is_record else "dim"
    facts = [str(data[name]) for name in ("gender", "age_group", "emotion", "error") if name in data]
    if "looking" in data:
        facts.append("looking" if data["looking"] else "not looking")
    times = {name: data.get(f"{name}_ms") for name in ("dwell", "duration", "attention")}
    facts += [f"{name} {ms / 1000:.1f} s" for name, ms in times.items() if ms is not None]
    time, text = message.headers["ce_time"][11:19], escape(", ".join(facts))
    return f"[dim]{time}[/dim] [{colour}]{event_type:26}[/{colour}] {message.key:6} {text}"


async def _summarize(daemon: Daemon, received: ReceivedEvents, out: Console, progress_line: Progress) -> None:
    """Show the totals: every second in the progress line of a terminal, elsewhere as a line every few seconds."""
    while True:
        await anyio.sleep(1 if progress_line.is_shown else SUMMARY_INTERVAL_S)
        text = f"{counted(received.ids.total(), 'event')}; {'; '.join(map(_summary, daemon.process_status.streams))}"
        if progress_line.is_shown:
            progress_line.show(text)
        else:
            out.print(text)


def _summary(row: StreamStatus) -> str:
    if row.checkpoint is None:
        return f"{row.source}/{row.stream} {row.state}"
    lag_s = max(0.0, (datetime.now(UTC) - row.checkpoint.watermark).total_seconds())
    return f"{row.source}/{row.stream} {row.state}, {lag_s:.0f} s behind"


def _print_verdict(out: Console, verdict: Verdict, checkpoints: Mapping[str, Checkpoint | None]) -> None:
    out.print("\nUp to the final instants:")
    for name, count in (
        ("records simulated", verdict.simulated),
        ("events published", verdict.published),
        ("missing", verdict.missing),
        ("duplicated", verdict.duplicated),
    ):
        is_wrong = name in ("missing", "duplicated") and count
        row = f"  {name:18}{count:10,}"
        out.print(f"[red]{row}[/red]" if is_wrong else row)
    finals = ", ".join(
        f"{name} up to {checkpoint.final:%H:%M:%S} UTC" for name, checkpoint in checkpoints.items() if checkpoint
    )
    out.print(f"[dim]Final: {finals or 'nothing yet: run the demo for longer'}[/dim]")
