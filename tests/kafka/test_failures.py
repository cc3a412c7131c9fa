"""A vendor that fails in every way, and a key that appears nowhere."""

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
from collector.kafka.topics import admin, ensure
from tests.kafka.daemon import EVENTS, Daemon, TopicReader, contents, reading, until
from tests.vendor import KEY, Known, Vendor, expected_events, serving, session

pytestmark = pytest.mark.anyio

ALL = (*EVENTS, "collector.dead_letters", "collector.state")


class Troubles:
    """Answers that are none, one after the other, and "well" for one that is; then nothing, and the vendor is well.

    Waits double with every failure in a row: a good answer now and then keeps them, and the test, short.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        self.left = list(kinds)

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        if not self.left or (kind := self.left.pop(0)) == "well":
            return None
        url = str(request.url)
        match kind:
            case "html":
                return web.Response(text=f"<html>Not found: {url}</html>", content_type="text/html")
            case "truncated":
                answer = web.StreamResponse(headers={"Content-Length": "100000"})
                await answer.prepare(request)
                await answer.write(b'{"objects": [')
                _cut(request)
                return answer
            case "reset":
                _cut(request)
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


def _cut(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


async def _published(reader: TopicReader) -> list[object]:
    return [told for told in await reader.poll() if not told.topic.endswith("collector.state")]


async def test_whatever_the_vendor_answers_nothing_is_lost_and_the_key_appears_nowhere(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    now, random = datetime.now(UTC), Random(3)
    good = [session(now - timedelta(seconds=60 + n), random, n) for n in range(5)]
    bad = {**good[0], "o": 99, "at": [{"a": 1, "d": KEY}]}
    vendor = Vendor([Known(each, now) for each in (*good, bad)])
    vendor.trouble = troubles = Troubles(
        [
            "huge",
            "500",
            "html",
            "truncated",
            "well",
            "reset",
            "429",
            "well",
            "no_objects",
            "not_json",
            "well",
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

            async def over() -> bool:
                shown.extend([(await daemon.get(path))[1] for path in ("/api/status", "/metrics", "/readyz")])
                return not troubles.left and (await daemon.stream()).get("state") == "live"

            await until(over, "the stream is live after all troubles")

            async def there() -> bool:
                return len(await _published(reader)) >= sum(len(expected_events(each)) for each in good) + 1

            await until(there, "everything is published")
        finally:
            daemon.close()
        told = await reader.poll()
    expected = [event for each in good for event in expected_events(each)]
    events = [each for each in told if each.topic.removeprefix(prefix) in EVENTS]
    assert sorted(expected) == sorted(contents(events).elements())
    (letter,) = [each for each in told if each.topic.endswith("dead_letters")]
    assert b"5315" == letter.key
    assert "collector.dead_letter.v1" == letter.headers["ce_type"]
    assert "Expected `int`, got `str` - at `$.at[0].d`" == letter.value["error"]
    assert ("mall", "sessions", "malformed") == tuple(letter.value[name] for name in ("source", "stream", "reason"))
    assert "[secret]" in letter.value["payload"]
    everything = [daemon.log.read_text("utf-8"), *shown, *(repr((t.key, t.headers, t.value)) for t in told)]
    assert not [text[:200] for text in everything if KEY in text]
    assert "stream_backing_off" in everything[0]
    assert "window_halved" in everything[0]


async def test_a_wrong_key_parks_the_stream_with_advice_and_it_comes_back_by_itself(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    vendor = Vendor([])
    async with serving(vendor):
        vendor.trouble = Troubles(["401"])
        daemon = Daemon(tmp_path, kafka, prefix, vendor)
        try:
            daemon.start()

            async def parked() -> bool:
                return (await daemon.stream()).get("state") == "parked"

            await until(parked, "the stream is parked")
            trouble = (await daemon.stream())["last_error"]
            assert "HTTP 401" == trouble["error"]
            assert "key" in trouble["advice"]
            assert (200, "ready\n") == await daemon.get("/readyz")
            _, metrics = await daemon.get("/metrics")
            assert 'collector_stream_state{source="mall",state="parked",stream="sessions"} 1.0' in metrics

            async def live() -> bool:
                return (await daemon.stream()).get("state") == "live"

            await until(live, "the stream is live again")
        finally:
            daemon.close()


async def test_without_kafka_the_daemon_lives_says_why_it_is_not_ready_and_ends_cleanly(tmp_path: Path) -> None:
    async with serving(Vendor([])) as vendor:
        daemon = Daemon(tmp_path, "127.0.0.1:1", "none-", vendor)
        try:
            daemon.start()

            async def told() -> bool:
                code, text = await daemon.get("/readyz")
                return code == 503 and "no broker answers at 127.0.0.1:1: Connection refused; check" in text

            await until(told, "not ready, with the reason")
            assert (200, "ok\n") == await daemon.get("/healthz")
            assert "not_owned" == (await daemon.stream())["state"]
            daemon.send(15)
            assert 0 == daemon.wait()
        finally:
            daemon.close()


async def test_events_without_state_are_refused_until_that_is_accepted(kafka: str, prefix: str, tmp_path: Path) -> None:
    settings = KafkaSettings.model_validate(
        {"bootstrap_servers": kafka, "topic_prefix": prefix, "state_partitions": 4, "partitions": 3}
    )
    await ensure(settings, {*EVENTS, "collector.dead_letters"})
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait(f"{prefix}seemetrix.sessions", b"{}", key=b"1")
    async with serving(Vendor([])) as vendor:
        daemon = Daemon(tmp_path, kafka, prefix, vendor)
        try:
            daemon.start()

            async def refused() -> bool:
                code, text = await daemon.get("/readyz")
                return code == 503 and "collector state init" in text

            await until(refused, "not ready, with the command that accepts it")
            command = [sys.executable, "-m", "collector", "state", "init", "--config", str(daemon.config)]
            assert 0 == (await anyio.run_process(command, check=False)).returncode

            async def ready() -> bool:
                return (await daemon.get("/readyz"))[0] == 200

            await until(ready, "ready after all")
        finally:
            daemon.close()


async def test_a_deleted_topic_parks_the_stream_until_it_is_back_and_nothing_is_lost(
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

            async def live() -> bool:
                row = await daemon.stream()
                return row.get("state") == "live" and row["counts"]["records"].get("fresh", 0) == len(vendor.known)

            await until(live, "the first session is published")
            async with admin(settings) as client:
                await client.delete_topics(topics)
            vendor.known.append(Known(second, now))

            async def parked() -> bool:
                return (await daemon.stream()).get("state") == "parked"

            await until(parked, "the stream is parked")
            trouble = (await daemon.stream())["last_error"]
            assert "missing" in trouble["error"]
            assert "create the topic" in trouble["advice"]
            await ensure(settings, {*EVENTS, "collector.dead_letters"})
            async with reading(kafka, topics) as reader:

                async def there() -> bool:
                    return sorted(expected_events(second)) == sorted(contents(await reader.poll()).elements())

                await until(there, "the second session is published into the new topics")
        finally:
            daemon.close()
