"""A vendor that fails in every way, a key that must appear nowhere, and Kafka problems that an operator resolves."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import aiokafka
import anyio
import pytest
from aiohttp import web

from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin, ensure_topics
from tests.kafka.daemon import EVENTS, Daemon, TopicReader, contents, reading, until
from tests.vendor import KEY, Known, Vendor, expected_events, serving, session

pytestmark = pytest.mark.anyio

ALL = (*EVENTS, "collector.dead_letters", "collector.state")


class Failures:
    """Failures of the vendor, one for each request, or "ok" for a valid response; after the last, all are valid.

    Waits double with every consecutive failure: a valid response now and then keeps the test short.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        self.left = list(kinds)

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        if not self.left or (kind := self.left.pop(0)) == "ok":
            return None
        url = str(request.url)
        match kind:
            case "html":
                return web.Response(text=f"<html>Not found: {url}</html>", content_type="text/html")
            case "truncated":
                response = web.StreamResponse(headers={"Content-Length": "100000"})
                await response.prepare(request)
                await response.write(b'{"objects": [')
                _abort(request)
                return response
            case "reset":
                _abort(request)
                return web.Response()
            case "redirect":
                return web.Response(status=302, headers={"Location": url})
            case "no_objects":
                return web.json_response({"detail": url})
            case "not_json":
                return web.Response(text=f'{{"objects": [{url}', content_type="application/json")
            case "huge":
                return web.Response(body=b'{"objects": [' + b" " * 2_000_000 + b"]}")
            case "nan":
                return web.Response(body=b'{"objects": [], "took": NaN}')
            case status:
                return web.Response(status=int(status), text=f"error for {url}", headers={"Retry-After": "1"})


def _abort(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


async def _published(reader: TopicReader) -> list[object]:
    return [message for message in await reader.poll() if not message.topic.endswith("collector.state")]


async def test_invalid_responses_lose_nothing_and_reveal_no_key(kafka: str, prefix: str, tmp_path: Path) -> None:
    now, random = datetime.now(UTC), Random(3)
    good = [session(now - timedelta(seconds=60 + n), random, n) for n in range(5)]
    bad = {**good[0], "o": 99, "at": [{"a": 1, "d": KEY}]}
    vendor = Vendor([Known(each, now) for each in (*good, bad)])
    vendor.trouble = failures = Failures(
        [
            "huge",
            "500",
            "html",
            "truncated",
            "ok",
            "reset",
            "429",
            "ok",
            "no_objects",
            "not_json",
            "ok",
            "nan",
            "503",
        ]
    )
    since = (now - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    shown: list[str] = []
    async with serving(vendor), reading(kafka, [prefix + topic for topic in ALL]) as reader:
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since, max_response_bytes="1000000")
        try:
            daemon.start()

            async def has_recovered() -> bool:
                shown.extend([(await daemon.get(path))[1] for path in ("/api/status", "/metrics", "/readyz")])
                return not failures.left and (await daemon.stream()).get("state") == "live"

            await until(has_recovered, "the stream is live after all failures")

            async def all_published() -> bool:
                return len(await _published(reader)) >= sum(len(expected_events(each)) for each in good) + 1

            await until(all_published, "all events are published")
        finally:
            daemon.close()
        messages = await reader.poll()
    expected = [event for each in good for event in expected_events(each)]
    events = [each for each in messages if each.topic.removeprefix(prefix) in EVENTS]
    assert sorted(expected) == sorted(contents(events).elements())
    (letter,) = [each for each in messages if each.topic.endswith("dead_letters")]
    assert b"5315" == letter.key
    assert "collector.dead_letter.v1" == letter.headers["ce_type"]
    assert all(fact in letter.value["error"] for fact in ("int", "str", "$.at[0].d"))
    assert ("mall", "sessions", "malformed") == tuple(letter.value[name] for name in ("source", "stream", "reason"))
    assert "[secret]" in letter.value["payload"]
    texts = [daemon.log.read_text("utf-8"), *shown, *(repr((each.key, each.headers, each.value)) for each in messages)]
    assert not [text[:200] for text in texts if KEY in text]
    assert "stream_backing_off" in texts[0]
    assert "window_halved" in texts[0]


async def test_a_stream_parked_for_a_wrong_key_retries_by_itself(kafka: str, prefix: str, tmp_path: Path) -> None:
    vendor = Vendor([])
    async with serving(vendor):
        vendor.trouble = Failures(["401"])
        daemon = Daemon(tmp_path, kafka, prefix, vendor)
        try:
            daemon.start()

            async def is_parked() -> bool:
                return (await daemon.stream()).get("state") == "parked"

            await until(is_parked, "the stream is parked")
            error = (await daemon.stream())["last_error"]
            assert "HTTP 401" == error["error"]
            assert "key" in error["advice"]
            assert (200, "ready\n") == await daemon.get("/readyz")
            _, metrics = await daemon.get("/metrics")
            assert 'collector_stream_state{source="mall",state="parked",stream="sessions"} 1.0' in metrics

            async def is_live() -> bool:
                return (await daemon.stream()).get("state") == "live"

            await until(is_live, "the stream is live again")
        finally:
            daemon.close()


async def test_without_kafka_the_daemon_runs_and_reports_why_it_is_not_ready_and_stops_cleanly(tmp_path: Path) -> None:
    async with serving(Vendor([])) as vendor:
        daemon = Daemon(tmp_path, "127.0.0.1:1", "none-", vendor)
        try:
            daemon.start()

            async def is_not_ready() -> bool:
                code, text = await daemon.get("/readyz")
                facts = ("127.0.0.1:1", "Connection refused", "kafka.bootstrap_servers")
                return code == 503 and all(fact in text for fact in facts)

            await until(is_not_ready, "not ready, with the reason")
            assert (200, "ok\n") == await daemon.get("/healthz")
            assert "not_owned" == (await daemon.stream())["state"]
            daemon.send(15)
            assert 0 == daemon.wait()
        finally:
            daemon.close()


async def test_event_topics_without_state_are_refused_until_an_operator_accepts_that(
    each_kafka: str, prefix: str, tmp_path: Path
) -> None:
    settings = KafkaSettings.model_validate(
        {"bootstrap_servers": each_kafka, "topic_prefix": prefix, "state_partitions": 4, "partitions": 3}
    )
    await ensure_topics(settings, [prefix + name for name in (*EVENTS, "collector.dead_letters")])
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=each_kafka) as producer:
        await producer.send_and_wait(f"{prefix}seemetrix.sessions", b"{}", key=b"1")
    async with serving(Vendor([])) as vendor:
        daemon = Daemon(tmp_path, each_kafka, prefix, vendor)
        try:
            daemon.start()

            async def is_refused() -> bool:
                code, text = await daemon.get("/readyz")
                return code == 503 and "collector state init" in text

            await until(is_refused, "not ready, with the command that accepts it")
            command = [sys.executable, "-m", "collector", "state", "init", "--config", str(daemon.config)]
            assert 0 == (await anyio.run_process(command, check=False)).returncode

            await until(daemon.is_ready, "the daemon is ready")
        finally:
            daemon.close()


async def test_a_deleted_topic_parks_the_stream_until_it_is_created_again(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    now, random = datetime.now(UTC), Random(8)
    first, second = (session(now - timedelta(seconds=30 + n), random, n) for n in range(2))
    vendor = Vendor([Known(first, now)])
    since = (now - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    settings = KafkaSettings.model_validate(
        {"bootstrap_servers": kafka, "topic_prefix": prefix, "state_partitions": 4, "partitions": 3}
    )
    topics = [prefix + topic for topic in EVENTS]
    async with serving(vendor):
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since, allowed_lateness='"5m"')
        try:
            daemon.start()

            async def is_live() -> bool:
                row = await daemon.stream()
                return row.get("state") == "live" and row["counts"]["records"].get("fresh", 0) == len(vendor.known)

            await until(is_live, "the first session is published")
            async with admin(settings) as client:
                await client.delete_topics(topics)
            vendor.known.append(Known(second, now))

            async def is_parked() -> bool:
                return (await daemon.stream()).get("state") == "parked"

            await until(is_parked, "the stream is parked")
            error = (await daemon.stream())["last_error"]
            (missing,) = [topic for topic in topics if topic in error["error"]]
            assert "missing" in error["error"]
            assert missing in error["advice"]
            await ensure_topics(settings, [prefix + name for name in (*EVENTS, "collector.dead_letters")])
            async with reading(kafka, topics) as reader:

                async def is_published() -> bool:
                    return sorted(expected_events(second)) == sorted(contents(await reader.poll()).elements())

                await until(is_published, "the second session is published into the new topics")
        finally:
            daemon.close()
