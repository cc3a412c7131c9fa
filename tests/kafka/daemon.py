"""The real `collector run` as a process, and a reader of what it committed."""

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
"""How long a test waits for what must happen; it goes on as soon as it has."""


class Told(Struct, frozen=True):
    """A message as a consumer sees it."""

    topic: str
    partition: int
    key: bytes
    headers: dict[str, str]
    value: Any
    published_ms: int
    seen_ms: int

    @property
    def id(self) -> str:
        return self.headers["ce_id"]


class Daemon:
    """One replica."""

    program: Sequence[str] = ("-m", "collector")
    """What Python runs."""
    redirect = ""
    """What a shell does to its streams before it starts, such as `2>&-`. Both of them go to `log` otherwise."""
    stderr: int | None = None
    """The file descriptor that it writes its log to, if that is not `log`."""

    def __init__(self, home: Path, kafka: str, prefix: str, vendor: Vendor, **keys: str) -> None:
        self._settle_in(home)
        self._written = partial(configuration, kafka, prefix, vendor, self.port)
        self.configure(**keys)

    def _settle_in(self, home: Path) -> None:
        """A port of its own, and the files that are named after it."""
        self.port = free_port()
        self.log = home / f"collector-{self.port}.log"
        self.config = home / f"collector-{self.port}.toml"
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, **keys: str) -> None:
        """Write the configuration anew; it counts from the next start on."""
        self.config.write_text(self._written(**keys), encoding="utf-8")

    def start(self, **environment: str) -> None:
        command = [sys.executable, *self.program, "run", "--config", str(self.config)]
        if self.redirect:
            command = ["sh", "-c", f'exec "$@" {self.redirect}', "sh", *command]
        with self.log.open("ab") as log:
            stderr = log if self.stderr is None else self.stderr
            self._process = subprocess.Popen(command, stdout=log, stderr=stderr, env={**os.environ, **environment})

    def kill(self) -> None:
        """At once, at whatever instruction it is."""
        self.send(signal.SIGKILL)
        self.wait()

    def send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout_s: float = 40) -> int:
        assert self._process is not None
        return self._process.wait(timeout_s)

    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def end(self) -> None:
        """Cleanly, unless it has ended already. A process that is still starting may not hear it in its own way."""
        if self.lives():
            self.send(signal.SIGTERM)
            assert self.wait() in (0, -signal.SIGTERM)

    def close(self) -> None:
        if self.lives():
            self.kill()

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body; 0 while it does not answer."""
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
        """The value of one series, as it stands in /metrics; 0 while there is none."""
        _, body = await self.get("/metrics")
        return next((float(line.rpartition(" ")[2]) for line in body.splitlines() if line.startswith(f"{name} ")), 0.0)

    async def stream(self) -> dict[str, Any]:
        """The status of the one stream; empty while there is none."""
        code, body = await self.get("/api/status")
        row: dict[str, Any] = json.loads(body)["streams"][0] if code == 200 else {}
        return row


def configuration(kafka: str, prefix: str, vendor: Vendor, port: int, **keys: str) -> str:
    """A configuration in which everything happens within seconds. `keys` replaces lines by their key."""
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


async def until(condition: Callable[[], Awaitable[bool]], what: str, within_s: float = WAIT_S) -> None:
    """Return when it holds; fail when it never does."""
    with anyio.move_on_after(within_s):
        while not await condition():  # noqa: ASYNC110 - other processes tell nobody
            await anyio.sleep(0.1)
        return
    raise AssertionError(f"never happened: {what}")


@asynccontextmanager
async def reading(kafka: str, topics: Sequence[str]) -> AsyncIterator["Reader"]:
    async with open_reader(KafkaSettings(bootstrap_servers=kafka)) as reader:
        yield Reader(reader, topics)


class Reader:
    """Reads committed messages as a consumer does, and verifies each against its contract."""

    def __init__(self, reader: CommittedReader, topics: Sequence[str]) -> None:
        self.told: list[Told] = []
        self._reader = reader
        self._topics = topics

    async def poll(self) -> list[Told]:
        """All that is committed by now."""
        if not self._reader.is_assigned and not await self._reader.assign_topics(self._topics):
            return self.told
        while found := await self._reader.poll():
            self.told += map(_told, found)
        return self.told

    async def to_the_end(self) -> list[Told]:
        """All that is committed by now, however slowly it arrives."""
        with anyio.fail_after(WAIT_S):
            while not self._reader.is_assigned:
                await self.poll()
            ends = await self._reader.committed_ends()
            while not await self._reader.has_passed(ends):
                await self.poll()
        return self.told

    async def has(self, number: int) -> bool:
        return len(await self.poll()) >= number


def _told(record: Any) -> Told:  # noqa: ANN401 - aiokafka's
    headers = {name: value.decode() for name, value in record.headers}
    value = record.value
    if not record.topic.endswith(STATE_TOPIC):  # which is no contract
        value = json.loads(value)
        check(headers, value)
    now_ms = time.time_ns() // 1_000_000
    return Told(record.topic, record.partition, record.key, headers, value, record.timestamp, now_ms)


def contents(told: Sequence[Told]) -> Counter[tuple[str, str]]:
    """Type and fields of the messages, without the ids that are made of them."""
    found = Counter[tuple[str, str]]()
    for message in told:
        fields = {name: value for name, value in message.value.items() if not name.endswith("event_id")}
        found[message.headers["ce_type"], json.dumps(fields, sort_keys=True)] += 1
    return found
