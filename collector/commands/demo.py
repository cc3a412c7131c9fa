"""`collector demo`: simulated vendors, a broker, the daemon, and a reader that knows the truth."""

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
from collector.commands.progress import Waiting, waiting
from collector.commands.simulate import FIRST_DEVICE, rules
from collector.commands.verdict import QUIVIDI, SEEMETRIX, Reader, Verdict, judge
from collector.config import Given, Settings
from collector.errors import UserError
from collector.instants import floor_second
from collector.kafka.connection import UNAVAILABLE
from collector.kafka.diagnosis.brokers import diagnose
from collector.kafka.reader import ConsumedMessage, follow
from collector.kafka.settings import EmbeddedKafka, KafkaSettings
from collector.kafka.topics import admin
from collector.model import Checkpoint
from collector.simulator import broker, seemetrix, vidicenter
from collector.simulator.server import Simulated, serving
from collector.simulator.world import FAST, World
from collector.telemetry.log import configure
from collector.telemetry.status import StreamStatus
from collector.web.settings import HttpSettings

HISTORY = timedelta(minutes=10)
"""What had happened before the demo began: it is there at once, and final within seconds."""
RATE = 300.0
"""Visits an hour at a device: something happens all the time, and one can still read it."""
ZONE = "Asia/Tokyo"
"""Its clocks are never set: in an hour that comes twice, the collector and the truth would differ by it."""
RULES = structs.replace(rules(fast=True), zone=ZONE)
LINES_A_SECOND = 8
SUMMARY_S = 5.0
QUIET_PIECES = 5
"""The reader has seen everything when so many looks found nothing: a second."""
# What comes late in this world is there a quarter of a minute after it began.
_PACE = {"settle": "2s", "allowed_lateness": "20s", "sweep_every": "4s"}


def demo(*, seconds: float | None, kafka: str | None) -> bool:
    """Run until Ctrl-C or so many seconds; whether nothing was missing or duplicated. Raises UserError."""
    if kafka is None and importlib.util.find_spec("confluent_kafka") is None:
        text = "the embedded broker is not installed: pip install 'collector[demo]', or use --kafka host:port"
        raise UserError(text)
    configure("warning", "console")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return anyio.run(_demo, seconds, kafka)


async def _demo(seconds: float | None, kafka: str | None) -> bool:
    with waiting("starting a broker") as wait:
        verdict, checkpoints = await _run(seconds, kafka, wait)
    _show(Console(highlight=False, soft_wrap=True), verdict, checkpoints)
    return verdict.is_good


async def _run(
    seconds: float | None, kafka: str | None, wait: Waiting
) -> tuple[Verdict, Mapping[str, Checkpoint | None]]:
    out = Console(highlight=False, soft_wrap=True)
    world = World(devices=tuple(range(FIRST_DEVICE, FIRST_DEVICE + 3)), rate=RATE, pace=FAST)
    since = floor_second(datetime.now(UTC) - HISTORY)
    async with _broker(kafka) as brokers, serving(world, host="127.0.0.1", port=0, rules=RULES) as vendors:
        settings = _settings(brokers, vendors, world, since)
        with wait.aside():
            _welcome(out, settings, vendors, kafka)
        wait.say("the daemon starts")
        reader = Reader()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_read, settings, reader, out, wait)
            daemon = Daemon(settings, SystemClock())
            async with anyio.create_task_group() as running:
                running.start_soon(daemon.run)
                running.start_soon(_summarise, daemon, reader, out, wait)
                await _until_stopped(seconds)
                with wait.aside():
                    out.print("[dim]stopping: the daemon commits where it is, the reader reads to the end[/dim]")
                checkpoints = {row.source: row.checkpoint for row in daemon.process_status.streams}
                running.cancel_scope.cancel()
            reader.quiet = 0
            wait.say("reading to the end")
            with anyio.move_on_after(15):
                while reader.quiet < QUIET_PIECES:  # noqa: ASYNC110 - a reader never knows that it is at the end
                    await anyio.sleep(0.1)
            tasks.cancel_scope.cancel()
    return judge(world, vendors.vidicenter, since, checkpoints, reader), checkpoints


@asynccontextmanager
async def _broker(kafka: str | None) -> AsyncIterator[KafkaSettings]:
    """The user's, under a prefix of the demo's own; or the embedded one."""
    if kafka is not None:
        settings = _own(kafka)
        try:
            async with admin(settings):
                pass
        except UNAVAILABLE:
            cause = (await diagnose(settings)).cause
            raise UserError(f"--kafka {kafka}: {cause}") from None
        yield settings
        return
    command = [sys.executable, "-m", broker.__name__]
    # In a session of its own: Ctrl-C is for us, and the broker must outlive the daemon.
    async with await anyio.open_process(
        command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        if process.stdout is None:
            raise AssertionError("it was opened with a pipe")
        try:
            with anyio.fail_after(20):
                address = (await process.stdout.receive()).decode().strip()
        except (TimeoutError, anyio.EndOfStream) as error:
            raise UserError("the embedded broker does not start: use your own with --kafka host:port") from error
        try:
            yield EmbeddedKafka(bootstrap_servers=address, state_partitions=broker.PARTITIONS)
        finally:
            process.kill()


def _own(kafka: str) -> KafkaSettings:
    name = f"demo-{uuid4().hex[:8]}"
    try:
        return KafkaSettings(bootstrap_servers=kafka, topic_prefix=f"{name}.", group=name, state_partitions=4)
    except ValidationError:
        raise UserError(f"--kafka {kafka}: expected host:port, such as localhost:9092") from None


def _settings(kafka: KafkaSettings, vendors: Simulated, world: World, since: datetime) -> Settings:
    times = {"since": since, "timeout": "5s"}
    mall = {"vendor": "seemetrix", "base_url": vendors.seemetrix_url, "user_id": seemetrix.USER, **times}
    airport = {"vendor": "quividi", "base_url": vendors.quividi_url, "username": vidicenter.USERNAME, **times}
    sources: dict[str, Any] = {
        SEEMETRIX: {**mall, "user_key": seemetrix.KEY, "streams": {"sessions": {"interval": "1s", **_PACE}}},
        QUIVIDI: {
            **airport,
            "token": vidicenter.TOKEN,
            "locations": list(world.devices),
            "timezone": ZONE,
            "max_requests_per_minute": 100_000,
            "streams": {"viewers": {"interval": "2s", **_PACE}},
        },
    }
    return Given(kafka=kafka, http=HttpSettings(listen=f"127.0.0.1:{_port()}"), sources=sources)


def _port() -> int:
    """The usual one, or any where that is taken."""
    for port in (9464, 0):
        with socket.socket() as trying:
            try:
                trying.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(trying.getsockname()[1])
    raise UserError("no port is free on 127.0.0.1")


def _welcome(out: Console, settings: Settings, vendors: Simulated, kafka: str | None) -> None:
    where = f"Kafka at {kafka}, topics {settings.kafka.topic_prefix}*" if kafka else "an embedded broker"
    address = f"http://{settings.http.listen}"
    out.print(f"[bold]collector demo[/bold]: two simulated vendors at {vendors.address}, {where}, and the daemon.")
    out.print(f"Status page {address}/, metrics {address}/metrics. Ctrl-C ends it.\n")


async def _until_stopped(seconds: float | None) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals, anyio.move_on_after(seconds):
        async for _ in signals:
            return


async def _read(settings: Settings, reader: Reader, out: Console, wait: Waiting) -> None:
    topics = sorted(settings.topics())
    budget, began = LINES_A_SECOND, anyio.current_time()
    while True:
        try:
            async for piece in follow(settings.kafka, topics):
                reader.quiet = 0 if piece else reader.quiet + 1
                for message in piece:
                    reader.note(message)
                if anyio.current_time() - began >= 1:
                    budget, began = LINES_A_SECOND, anyio.current_time()
                shown = piece[:: 1 + len(piece) // (budget + 1)][:budget]
                if shown:
                    with wait.aside():
                        out.print("\n".join(map(_line, shown)))
                budget -= len(shown)
        except UNAVAILABLE:
            await anyio.sleep(1)


def _line(message: ConsumedMessage) -> str:
    data: dict[str, Any] = msgspec.json.decode(message.value)
    kind = message.headers["ce_type"]
    colour = {"session": "green", "viewer": "cyan", "dead_letter": "red"}.get(kind.split(".")[1], "dim")
    words = [str(data[name]) for name in ("gender", "age_group", "emotion", "error") if name in data]
    if "looking" in data:
        words.append("looking" if data["looking"] else "not looking")
    times = {name: data.get(f"{name}_ms") for name in ("dwell", "duration", "attention")}
    words += [f"{name} {ms / 1000:.1f} s" for name, ms in times.items() if ms is not None]
    clock, said = message.headers["ce_time"][11:19], escape(", ".join(words))
    return f"[dim]{clock}[/dim] [{colour}]{kind:26}[/{colour}] {message.key:6} {said}"


async def _summarise(daemon: Daemon, reader: Reader, out: Console, wait: Waiting) -> None:
    """At a terminal as a line that changes; elsewhere as one now and then."""
    while True:
        await anyio.sleep(1 if wait.is_shown else SUMMARY_S)
        text = f"{reader.ids.total():,} events; {'; '.join(map(_told, daemon.process_status.streams))}"
        if wait.is_shown:
            wait.say(text)
        else:
            out.print(text)


def _told(row: StreamStatus) -> str:
    if row.checkpoint is None:
        return f"{row.source}/{row.stream} {row.state}"
    lag_s = max(0.0, (datetime.now(UTC) - row.checkpoint.watermark).total_seconds())
    return f"{row.source}/{row.stream} {row.state}, {lag_s:.0f} s behind"


def _show(out: Console, verdict: Verdict, checkpoints: Mapping[str, Checkpoint | None]) -> None:
    out.print("\nOver what is final:")
    for name, count in (
        ("records simulated", verdict.simulated),
        ("events published", verdict.published),
        ("missing", verdict.missing),
        ("duplicated", verdict.duplicated),
    ):
        wrong = name in ("missing", "duplicated") and count
        row = f"  {name:18}{count:10,}"
        out.print(f"[red]{row}[/red]" if wrong else row)
    finals = ", ".join(
        f"{name} up to {checkpoint.final:%H:%M:%S} UTC" for name, checkpoint in checkpoints.items() if checkpoint
    )
    out.print(f"[dim]Final: {finals or 'nothing yet: let it run for longer'}[/dim]")
