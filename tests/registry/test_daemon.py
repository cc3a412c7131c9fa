"""A real daemon with Kafka and a registry that is away at first: each event is published once, and names its schema."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import anyio
import pytest

from collector.cloudevents import SCHEMA_ID
from collector.registry.client import schema_registry
from collector.registry.subjects import registry_schema, subject_of
from collector.schemas import event_types
from tests.consumers.environments import PROGRAMS, python_for
from tests.consumers.programs import start
from tests.kafka.broker import free_port
from tests.kafka.daemon import EVENTS, Daemon, Received, contents, reading, until
from tests.needs import need
from tests.registry import server
from tests.registry.stub import stub_registry
from tests.vendor import Known, Vendor, expected_events, serving, session

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

TYPES = event_types()
PROGRAM = PROGRAMS / "python_registry.py"
MAX_STOP_S = 10.0
"""A request to the registry may take 30 s."""
DEVICES = '[sources.mall.streams.devices]\ninterval = "1s"\n'


def vendor_with(count: int) -> Vendor:
    now, random = datetime.now(UTC), Random(7)
    return Vendor([Known(session(now - timedelta(seconds=30 + n), random, n), now) for n in range(count)])


def configure(daemon: Daemon, registry: str, more: str = "", streams: str = "") -> None:
    """Add a registry and streams to the configuration of the daemon."""
    text = daemon.config.read_text("utf-8") + streams
    daemon.config.write_text(f'{text}\n[kafka.schema_registry]\nurl = "{registry}"\n{more}', "utf-8")


async def is_in(daemon: Daemon, state: str, error: str | None = None, stream: str = "sessions") -> bool:
    """Whether a stream has this state, and its error this code."""
    code, body = await daemon.get("/api/status")
    rows = [row for row in json.loads(body)["streams"] if row["stream"] == stream] if code == 200 else []
    return [(state, error)] == [(row["state"], (row["last_error"] or {}).get("code")) for row in rows]


async def test_events_wait_for_a_registry_that_is_away_and_are_published_once(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    need("REGISTRY", server.unavailable_reason())
    port = free_port()
    async with serving(vendor_with(20)) as vendor:
        daemon = Daemon(tmp_path, kafka, prefix, vendor)
        configure(daemon, f"http://127.0.0.1:{port}{server.API}")
        topics = [prefix + topic for topic in (*EVENTS, "collector.progress")]
        try:
            daemon.start()
            await until(partial(is_in, daemon, "backing_off", "registry_unavailable"), "the stream waits")
            assert not vendor.requests
            with server.running(tmp_path, port) as url:
                received = await published(daemon, kafka, topics, vendor)
                for each in received:
                    await names_its_schema(url, each)
                await is_read_by_confluents_deserializer(kafka, url, tmp_path, topics, received)
        finally:
            daemon.close()


async def published(daemon: Daemon, kafka: str, topics: list[str], vendor: Vendor) -> list[Received]:
    """All messages, once the daemon has published each event of the vendor; it is stopped then."""
    expected = [event for known in vendor.known for event in expected_events(known.session)]
    async with reading(kafka, topics) as reader:
        await until(partial(reader.has, len(expected)), "all events are published", 90)
        await until(partial(is_in, daemon, "live"), "the stream is live")
        daemon.stop()
        received = await reader.to_the_end()
    events = [each for each in received if not each.topic.endswith("collector.progress")]
    assert dict.fromkeys(expected, 1) == contents(events)
    assert len(received) > len(events)
    return received


async def names_its_schema(url: str, message: Received) -> None:
    """The header has the id that the registry has for the schema of the type."""
    event_type = TYPES[message.headers["ce_type"]]
    async with schema_registry(url) as registry:
        found = await registry.find(subject_of(message.topic), registry_schema(event_type))
    assert found is not None
    assert found.guid is None
    assert b"\0" + found.id.to_bytes(4, "big") == message.headers[SCHEMA_ID].encode()


async def is_read_by_confluents_deserializer(
    kafka: str, url: str, folder: Path, topics: list[str], received: list[Received]
) -> None:
    """The program of the documentation validates every message, and prints its value."""
    options = ["--kafka", kafka, "--registry", url, "--group", topics[0]]
    output, errors = folder / "values.txt", folder / "errors.txt"
    process = start([str(python_for(PROGRAM)), str(PROGRAM), *options, *topics], output, errors)
    try:

        async def has_printed() -> bool:
            assert process.poll() is None, errors.read_text("utf-8")[-2000:]
            return len(output.read_text("utf-8").splitlines()) >= len(received)

        await until(has_printed, "the program has read all messages")
    finally:
        process.kill()
        process.wait()
    printed = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    key = json.dumps
    assert sorted(map(key, printed)) == sorted(key(each.value) for each in received)


async def test_only_the_stream_whose_schema_is_missing_waits(kafka: str, prefix: str, tmp_path: Path) -> None:
    """Both streams are of one account, so they share a partition and its epoch."""
    async with serving(vendor_with(3)) as vendor, stub_registry() as stub:
        daemon = Daemon(tmp_path, kafka, prefix, vendor)
        configure(daemon, stub.url, "register = false\n", DEVICES)
        known = ("seemetrix.device.v1", "collector.dead_letter.v1", "collector.progress.v1")
        async with schema_registry(stub.url) as registry:
            for name in known:
                await registry.register(subject_of(prefix + TYPES[name].topic), registry_schema(TYPES[name]))
        try:
            daemon.start()

            await until(partial(is_in, daemon, "live", stream="devices"), "a stream is live")
            await until(partial(is_in, daemon, "parked", "schema_unknown"), "the other one is parked")
            assert 0 < await daemon.metric('collector_schema_registry_requests_total{outcome="ok"}')
        finally:
            daemon.close()


async def test_a_registry_that_hangs_keeps_the_daemon_neither_from_running_nor_from_stopping(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    async with serving(vendor_with(3)) as vendor, stub_registry() as stub:
        stub.delay = anyio.Event()
        daemon = Daemon(tmp_path, kafka, prefix, vendor)
        configure(daemon, stub.url)
        try:
            for attempt in (1, 2):
                daemon.start()

                async def requests(at_least: int = attempt) -> bool:
                    return stub.requests.total() >= at_least

                await until(requests, "a request waits for the registry")
                await until(daemon.is_ready, "Kafka can be used")
                assert not vendor.requests
                with anyio.fail_after(MAX_STOP_S):
                    await anyio.to_thread.run_sync(daemon.stop)
            daemon.start()
            stub.delay.set()
            await until(partial(is_in, daemon, "live"), "it continues once the registry responds")
        finally:
            daemon.close()
