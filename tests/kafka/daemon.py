"""The real `collector run` as a process, and a reader of the messages that it committed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import anyio
from msgspec import Struct

from collector.kafka.reader import CommittedReader, open_reader
from collector.kafka.settings import STATE_TOPIC, KafkaSettings
from tests.contracts.kept import check
from tests.kafka.broker import free_port
from tests.vendor import KEY, USER, Vendor

EVENTS = ("seemetrix.sessions", "seemetrix.attention", "seemetrix.emotions", "seemetrix.content_views")
WAIT_S = 60
"""How long a test waits for a condition by default; it continues as soon as the condition holds."""


class Received(Struct, frozen=True):
    """A message as a consumer receives it."""

    topic: str
    partition: int
    key: bytes
    headers: dict[str, str]
    value: Any
    published_ms: int
    received_ms: int
    offset: int = -1

    @property
    def id(self) -> str:
        return self.headers["ce_id"]


class Daemon:
    """One replica of the collector."""

    program: Sequence[str] = ("-m", "collector")
    """The arguments of Python."""
    redirect = ""
    """Redirections by a shell, such as `2>&-`; without any, stdout and stderr are written to `log`."""
    stderr: int | None = None
    """The file descriptor that stderr is connected to; None is `log`."""

    def __init__(self, home: Path, kafka: str, prefix: str, vendor: Vendor, **keys: str) -> None:
        self._set_up_files(home)
        self._configuration = partial(configuration, kafka, prefix, vendor, self.port)
        self.configure(**keys)

    def _set_up_files(self, home: Path) -> None:
        """Choose a port, and files that are named after it."""
        self.port = free_port()
        self.log = home / f"collector-{self.port}.log"
        self.config = home / f"collector-{self.port}.toml"
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, **keys: str) -> None:
        """Rewrite the configuration, with these keys replaced. It applies from the next start."""
        self.config.write_text(self._configuration(**keys), encoding="utf-8")

    def start(self, **environment: str) -> None:
        """Start it with these variables, and as operators do: in development mode, it would need twice the CPU time."""
        command = [sys.executable, *self.program, "run", "--config", str(self.config)]
        if self.redirect:
            command = ["sh", "-c", f'exec "$@" {self.redirect}', "sh", *command]
        with self.log.open("ab") as log:
            stderr = log if self.stderr is None else self.stderr
            variables = {**os.environ, "PYTHONDEVMODE": "", **environment}
            self._process = subprocess.Popen(command, stdout=log, stderr=stderr, env=variables)

    def kill(self) -> None:
        """End it with SIGKILL, wherever it is."""
        self.send(signal.SIGKILL)
        self.wait()

    def send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout_s: float = 40) -> int:
        """Its exit code, once it has ended; negative if a signal ended it."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log_lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """The lines of its log, or those of one event."""
        lines = [json.loads(line) for line in self.log.read_text("utf-8").splitlines() if line.startswith("{")]
        return [line for line in lines if event in (None, line["event"])]

    def stop(self) -> None:
        """Stop it cleanly with SIGTERM, if it runs. A process that has not installed its handlers yet dies of it."""
        if self.is_running():
            self.send(signal.SIGTERM)
            assert self.wait() in (0, -signal.SIGTERM)

    def close(self) -> None:
        """Kill it, if it runs."""
        if self.is_running():
            self.kill()

    async def get(self, path: str) -> tuple[int, str]:
        """Status code and body of the response; 0 if it does not respond."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.port}{path}") as response,
            ):
                return response.status, await response.text()
        except aiohttp.ClientError:
            return 0, ""

    async def is_ready(self) -> bool:
        return (await self.get("/readyz"))[0] == 200

    async def metric(self, name: str) -> float:
        """The value of one series of /metrics; 0 if it has no such series."""
        _, body = await self.get("/metrics")
        return next((float(line.rpartition(" ")[2]) for line in body.splitlines() if line.startswith(f"{name} ")), 0.0)

    async def stream(self) -> dict[str, Any]:
        """The status of the first stream; empty if the daemon does not respond."""
        code, body = await self.get("/api/status")
        row: dict[str, Any] = json.loads(body)["streams"][0] if code == 200 else {}
        return row


def configuration(kafka: str, prefix: str, vendor: Vendor, port: int, **keys: str) -> str:
    """A configuration with intervals of seconds. `keys` replaces values by their key."""
    lines = {
        "settle": '"1s"',
        "interval": '"1s"',
        "allowed_lateness": '"25s"',
        "sweep_every": '"3s"',
        "since": "2026-11-01T00:00:00Z",
        "session_timeout": '"3s"',
        "transaction_timeout": '"9s"',
        "max_response_bytes": "16777216",
        "timeout": '"5s"',
        "user_key": f'"{KEY}"',
    } | keys
    return f"""
[kafka]
bootstrap_servers = "{kafka}"
topic_prefix = "{prefix}"
group = "{prefix}group"
state_partitions = 4
partitions = 3
session_timeout = {lines["session_timeout"]}
transaction_timeout = {lines["transaction_timeout"]}
[http]
listen = "127.0.0.1:{port}"
[log]
level = "debug"
[sources.mall]
vendor = "seemetrix"
base_url = "{vendor.base_url}"
user_id = {USER}
user_key = {lines["user_key"]}
since = {lines["since"]}
max_response_bytes = {lines["max_response_bytes"]}
timeout = {lines["timeout"]}
[sources.mall.streams.sessions]
interval = {lines["interval"]}
settle = {lines["settle"]}
allowed_lateness = {lines["allowed_lateness"]}
sweep_every = {lines["sweep_every"]}
"""


def separate(config: Path, tenants: Sequence[str]) -> None:
    """Replace the source of a configuration by one for each prefix of topics: mall0, mall1 and so on."""
    rest, source = config.read_text("utf-8").split("[sources.mall]\n", 1)
    for number, tenant in enumerate(tenants):
        table = f'[sources.mall{number}]\ntopic_prefix = "{tenant}"\n{source}'
        rest += table.replace("[sources.mall.", f"[sources.mall{number}.")
    config.write_text(rest, "utf-8")


async def until(condition: Callable[[], Awaitable[bool]], what: str, within_s: float = WAIT_S) -> None:
    """Return as soon as the condition holds; fail the test if it does not within that time."""
    with anyio.move_on_after(within_s):
        while not await condition():  # noqa: ASYNC110 - other processes do not notify this one
            await anyio.sleep(0.1)
        return
    raise AssertionError(f"not within {within_s:g} s: {what}")


@asynccontextmanager
async def reading(kafka: str, topics: Sequence[str]) -> AsyncIterator["TopicReader"]:
    """A reader of these topics, which need not exist yet."""
    async with open_reader(KafkaSettings(bootstrap_servers=kafka)) as reader:
        yield TopicReader(reader, topics)


class TopicReader:
    """Reads committed messages from the start of topics, and verifies each against its contract."""

    def __init__(self, reader: CommittedReader, topics: Sequence[str]) -> None:
        self.received: list[Received] = []
        self._reader = reader
        self._topics = topics

    async def poll(self) -> list[Received]:
        """All messages received so far, after a read until none arrives for a while; none before the topics exist."""
        if not self._reader.is_assigned and not await self._reader.assign_topics(self._topics):
            return self.received
        while found := await self._reader.poll():
            self.received += map(_received, found)
        return self.received

    async def to_the_end(self) -> list[Received]:
        """All messages that are committed at the time of the call."""
        with anyio.fail_after(WAIT_S):
            while not self._reader.is_assigned:
                await self.poll()
            ends = await self._reader.committed_ends()
            while not await self._reader.has_passed(ends):
                await self.poll()
        return self.received

    async def has(self, number: int) -> bool:
        """Whether at least this many messages are committed."""
        return len(await self.poll()) >= number


def _received(record: Any) -> Received:  # noqa: ANN401 - aiokafka's
    headers = {name: value.decode() for name, value in record.headers}
    value = record.value
    if not record.topic.endswith(STATE_TOPIC):  # its records have no contract
        value = json.loads(value)
        check(headers, value)
    now_ms = time.time_ns() // 1_000_000
    return Received(record.topic, record.partition, record.key, headers, value, record.timestamp, now_ms, record.offset)


def contents(messages: Sequence[Received]) -> Counter[tuple[str, str]]:
    """How often each event occurs: its type and its fields, without the ids, which are derived from them."""
    counts = Counter[tuple[str, str]]()
    for message in messages:
        fields = {name: value for name, value in message.value.items() if not name.endswith("event_id")}
        counts[message.headers["ce_type"], json.dumps(fields, sort_keys=True)] += 1
    return counts
