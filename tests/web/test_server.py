"""/metrics, /healthz and /readyz: the documented metrics, the readiness with its reason, and no secrets."""

import socket

import pytest

from collector.errors import Park, UserError
from collector.model import Tally
from collector.secrets import Secret
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from collector.web.server import serve_http
from tests.simulated import START, SimulatedClock
from tests.web.served import CHECKPOINT, WINDOW, Served

pytestmark = pytest.mark.anyio


async def test_healthz_is_200_while_the_event_loop_runs(served: Served) -> None:
    assert (await served.get("/healthz"))[0] == 200


async def test_readyz_is_503_with_the_reason_until_the_process_is_ready(served: Served) -> None:
    assert await served.get("/readyz") == (503, "connecting to Kafka\n")

    served.kafka.unavailable("no brokers", "start them")
    assert await served.get("/readyz") == (503, "no brokers; start them\n")

    served.kafka.available()
    served.kafka.topics_refused("the topic is missing", "create it")
    assert await served.get("/readyz") == (503, "the topic is missing; create it\n")

    served.kafka.topics_ready()
    assert await served.get("/readyz") == (503, "joining the consumer group\n")

    served.kafka.assigned([3])
    assert (await served.get("/readyz"))[0] == 200

    served.kafka.left_group("fenced")
    assert (await served.get("/readyz"))[0] == 503


@pytest.mark.parametrize("secret", ["shown-51", 'quo"ted-52', "back\\slash-53", "naïve-54"])
async def test_no_endpoint_contains_a_secret(served: Served, secret: str) -> None:
    Secret.model_validate(secret)
    served.kafka.unavailable(f"refused {secret}", "change it")
    served.stream.owned(CHECKPOINT, 0)
    served.stream.parked(WINDOW, Park(f"key {secret}", advice=f"not {secret}"), failures=1, delay_s=1, now=START)

    status = await served.status()
    (stream,) = status["streams"]

    assert status["reason"] == "refused [secret]; change it"
    assert (stream["last_error"]["error"], stream["last_error"]["advice"]) == ("key [secret]", "not [secret]")
    assert await served.get("/readyz") == (503, "refused [secret]; change it\n")
    assert secret not in (await served.get("/metrics"))[1]


# All metrics that have samples once a stream was polled, with their labels.
LABELS = {
    "collector_build_info": "version",
    "collector_stream_state": "source stream state",
    "collector_stream_interval_seconds": "source stream",
    "collector_stream_freshness_target_seconds": "source stream",
    "collector_config_last_reload_successful": "",
    "collector_config_last_reload_success_timestamp_seconds": "",
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
    "collector_log_errors_total": "",
    "collector_transactions_total": "outcome",
    "collector_transaction_duration_seconds_count": "",
    "collector_owned_partitions": "",
    "collector_rebalances_total": "",
    "collector_state_restore_duration_seconds_count": "",
    "collector_state_restore_progress_ratio": "",
    "collector_kafka_ready": "",
    "collector_ledger_entries": "source stream",
}


async def test_metrics_have_these_labels_and_there_are_no_others(served: Served) -> None:
    served.stream.owned(CHECKPOINT, 0)
    served.stream.committed(Tally(fresh_ends_ms=[int(START.timestamp() * 1000)]), CHECKPOINT, 0, START)
    served.stream.polled(WINDOW, 0, 0.1, CHECKPOINT, behind=False, now=START)

    status, text = await served.get("/metrics")

    assert status == 200
    samples = [line for line in text.splitlines() if line.startswith("collector_")]
    found = {
        name: {part.partition("=")[0] for part in labels.removesuffix("}").split(",") if part}
        for name, _, labels in (line.rpartition(" ")[0].partition("{") for line in samples)
        if not name.endswith(("_created", "_bucket", "_sum"))
    }
    assert {name: set(labels.split()) for name, labels in LABELS.items()} == found


async def test_metrics_are_served_in_the_format_that_prometheus_requests(served: Served) -> None:
    openmetrics = "application/openmetrics-text; version=1.0.0"
    async with served.session.get(f"{served.url}/metrics", headers={"Accept": openmetrics}) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await response.text()).endswith("# EOF\n")


async def test_metrics_are_compressed_for_clients_that_accept_it(served: Served) -> None:
    for accepted, encoding in (
        ("gzip", "gzip"),
        ("br, GZIP; q=0.5", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip; q=0.000, identity", None),
    ):
        headers = {"Accept-Encoding": accepted}
        async with served.session.get(f"{served.url}/metrics", headers=headers) as response:
            assert encoding == response.headers.get("Content-Encoding")
            assert "collector_build_info" in await response.text()


async def test_an_address_in_use_is_reported_with_its_configuration_key() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = taken.getsockname()
        with pytest.raises(UserError, match=rf"http\.listen = 127\.0\.0\.1:{address[1]}: ") as raised:
            async with serve_http(address, ProcessStatus("1", "g"), Metrics().registry, SimulatedClock()):
                pass
    assert "cannot_listen" == raised.value.code
