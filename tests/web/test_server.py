"""What the endpoints promise: how the process is, as metrics, as a word and as JSON, and nothing secret."""

import json
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from msgspec import Struct

from collector.errors import Park, UserError
from collector.model import Head, Tally, Window
from collector.secrets import Secret
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import Board, StreamRow
from collector.telemetry.stream import StreamTelemetry
from collector.web.server import serving
from tests.simulated import START, SimulatedClock

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
HEAD = Head(
    since=START - 24 * HOUR,
    watermark=START - timedelta(seconds=120),
    final=START - 20 * HOUR,
    span=6 * HOUR,
    swept_at=START - HOUR,
)
WINDOW = Window(START - HOUR, START - timedelta(seconds=120))


class Served(Struct):
    """A process's endpoints, and what it tells them."""

    url: str
    kafka: KafkaTelemetry
    stream: StreamTelemetry
    session: aiohttp.ClientSession

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(self.url + path) as response:
            return response.status, await response.text()

    async def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await self.get("/api/status"))[1])
        return found


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    metrics = Metrics()
    row = StreamRow("seemetrix", "mall", "sessions")
    board = Board("1.2.3", "counting", [row])
    kafka = KafkaTelemetry(metrics, board)
    stream = StreamTelemetry(metrics, row, ["seemetrix.session.v1"])
    port = free_port()
    async with (
        serving(("127.0.0.1", port), board, metrics.registry, SimulatedClock()),
        aiohttp.ClientSession() as session,
    ):
        yield Served(f"http://127.0.0.1:{port}", kafka, stream, session)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_healthz_is_200_while_the_loop_lives(served: Served) -> None:
    assert (await served.get("/healthz"))[0] == 200


async def test_readyz_says_what_is_waited_for_until_it_is_there(served: Served) -> None:
    assert await served.get("/readyz") == (503, "connecting to Kafka\n")

    served.kafka.unavailable("no brokers")
    assert await served.get("/readyz") == (503, "Kafka is not available: no brokers\n")

    served.kafka.refused("the topic is missing", "create it")
    assert await served.get("/readyz") == (503, "the topic is missing; create it\n")

    served.kafka.ready()
    assert await served.get("/readyz") == (503, "joining the consumer group\n")

    served.kafka.assigned([3])
    assert (await served.get("/readyz"))[0] == 200

    served.kafka.left_group("fenced")
    assert (await served.get("/readyz"))[0] == 503


async def test_status_has_every_documented_key_before_anything_is_known(served: Served) -> None:
    assert await served.status() == {
        "version": "1.2.3",
        "group": "counting",
        "now": "2026-11-01T00:00:00Z",
        "ready": False,
        "reason": "connecting to Kafka",
        "owned_partitions": [],
        "streams": [
            {
                "vendor": "seemetrix",
                "source": "mall",
                "stream": "sessions",
                "state": "not_owned",
                "since": None,
                "watermark": None,
                "final": None,
                "lag_s": None,
                "last_window": None,
                "last_success": None,
                "last_error": None,
                "notices": [],
                "missing": None,
                "counts": {"records": {}, "events": {}, "dead_letters": {}, "ledger_entries": 0},
            }
        ],
    }


async def test_status_tells_of_a_stream_that_is_live(served: Served) -> None:
    served.kafka.ready()
    served.kafka.assigned([3])
    served.kafka.epoch_began(3, 0.5, 10)
    served.stream.owned(HEAD, 7)
    served.stream.committed(
        Tally({"fresh": 2, "rejected": 1}, {"seemetrix.session.v1": 2}, {"malformed": 1}), HEAD, 9, START
    )
    served.stream.polled(WINDOW, 3, 0.2, HEAD, behind=False, now=START)

    status = await served.status()

    assert (status["ready"], status["reason"], status["owned_partitions"]) == (True, None, [3])
    (stream,) = status["streams"]
    assert stream == {
        "vendor": "seemetrix",
        "source": "mall",
        "stream": "sessions",
        "state": "live",
        "since": "2026-10-31T00:00:00Z",
        "watermark": "2026-10-31T23:58:00Z",
        "final": "2026-10-31T04:00:00Z",
        "lag_s": 120,
        "last_window": {"start": "2026-10-31T23:00:00Z", "end": "2026-10-31T23:58:00Z"},
        "last_success": "2026-11-01T00:00:00Z",
        "last_error": None,
        "notices": [],
        "missing": None,
        "counts": {
            "records": {"fresh": 2, "rejected": 1},
            "events": {"seemetrix.session.v1": 2},
            "dead_letters": {"malformed": 1},
            "ledger_entries": 9,
        },
    }


async def test_status_tells_of_an_error_with_advice(served: Served) -> None:
    served.stream.owned(HEAD, 0)
    served.stream.parked(WINDOW, Park("HTTP 401", advice="correct the key"), failures=1, delay_s=90, now=START)

    (stream,) = (await served.status())["streams"]

    assert stream["state"] == "parked"
    assert stream["last_error"] == {
        "error": "HTTP 401",
        "advice": "correct the key",
        "at": "2026-11-01T00:00:00Z",
        "retry_at": "2026-11-01T00:01:30Z",
    }


async def test_status_of_a_stream_that_another_replica_took_over_claims_nothing_about_it(served: Served) -> None:
    served.stream.owned(HEAD, 7)
    served.stream.parked(WINDOW, Park("HTTP 401", advice="correct the key"), failures=1, delay_s=90, now=START)
    served.stream.disowned()

    (stream,) = (await served.status())["streams"]

    assert stream["state"] == "not_owned"
    keys = ("since", "watermark", "final", "lag_s", "last_error")
    assert dict.fromkeys(keys) == {key: stream[key] for key in keys}
    assert stream["counts"]["ledger_entries"] == 0


@pytest.mark.parametrize("secret", ["shown-51", 'quo"ted-52', "back\\slash-53", "naïve-54"])
async def test_no_endpoint_shows_a_secret(served: Served, secret: str) -> None:
    Secret.model_validate(secret)
    served.kafka.unavailable(f"refused {secret}")
    served.stream.owned(HEAD, 0)
    served.stream.parked(WINDOW, Park(f"key {secret}", advice=f"not {secret}"), failures=1, delay_s=1, now=START)

    status = await served.status()
    (stream,) = status["streams"]

    assert status["reason"] == "Kafka is not available: refused [secret]"
    assert (stream["last_error"]["error"], stream["last_error"]["advice"]) == ("key [secret]", "not [secret]")
    assert await served.get("/readyz") == (503, "Kafka is not available: refused [secret]\n")
    assert secret not in (await served.get("/metrics"))[1]


# docs: "Metrics". Those of the vendors and streams that are still to come are not among them.
LABELS = {
    "collector_build_info": "version",
    "collector_stream_state": "source stream state",
    "collector_watermark_timestamp_seconds": "source stream",
    "collector_final_timestamp_seconds": "source stream",
    "collector_last_success_timestamp_seconds": "source stream",
    "collector_polls_total": "source stream outcome",
    "collector_poll_duration_seconds_count": "source stream",
    "collector_window_span_seconds": "source stream",
    "collector_records_total": "source stream outcome",
    "collector_events_published_total": "source stream type",
    "collector_event_delay_seconds_count": "source stream",
    "collector_dead_letters_total": "source stream reason",
    "collector_transactions_total": "outcome",
    "collector_transaction_duration_seconds_count": "",
    "collector_owned_partitions": "",
    "collector_rebalances_total": "",
    "collector_state_restore_duration_seconds_count": "",
    "collector_ledger_entries": "source stream",
}


async def test_metrics_has_the_documented_ones_with_their_labels_and_no_others(served: Served) -> None:
    served.stream.owned(HEAD, 0)
    served.stream.committed(Tally(fresh_ends_ms=[int(START.timestamp() * 1000)]), HEAD, 0, START)
    served.stream.polled(WINDOW, 0, 0.1, HEAD, behind=False, now=START)

    status, text = await served.get("/metrics")

    assert status == 200
    samples = [line for line in text.splitlines() if line.startswith("collector_")]
    found = {
        name: {part.partition("=")[0] for part in labels.removesuffix("}").split(",") if part}
        for name, _, labels in (line.rpartition(" ")[0].partition("{") for line in samples)
        if not name.endswith(("_created", "_bucket", "_sum"))
    }
    assert {name: set(labels.split()) for name, labels in LABELS.items()} == found


async def test_metrics_answers_in_the_format_that_a_prometheus_asks_for(served: Served) -> None:
    openmetrics = "application/openmetrics-text; version=1.0.0"
    async with served.session.get(f"{served.url}/metrics", headers={"Accept": openmetrics}) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await response.text()).endswith("# EOF\n")


async def test_an_address_that_is_taken_is_told_by_the_key_that_names_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = taken.getsockname()
        with pytest.raises(UserError, match=rf"http\.listen = 127\.0\.0\.1:{address[1]}: "):
            async with serving(address, Board("1", "g"), Metrics().registry, SimulatedClock()):
                pass


async def test_lag_is_never_negative(served: Served) -> None:
    ahead = datetime(2026, 11, 1, 0, 0, 5, tzinfo=UTC)
    served.stream.owned(Head(ahead, ahead, ahead, HOUR, ahead), 0)

    assert (await served.status())["streams"][0]["lag_s"] == 0
