"""The metrics of many sources stay small."""

import gzip

from prometheus_client.exposition import generate_latest

from collector.model import Tally
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors import VENDORS
from tests.simulated import START
from tests.telemetry.test_stream import CHECKPOINT, WINDOW, policy

MAX_BUCKETS = 8
SOURCES, MAX_BYTES, MAX_TRANSFERRED = 500, 3_000_000, 300_000


def full(sources: int) -> Metrics:
    """The metrics of a replica that owns the main stream of so many sources, with typical values."""
    metrics = Metrics()
    for number in range(sources):
        name = f"source_{number}"
        types = [each.name for each in VENDORS["quividi"].event_types["viewers"]]
        stream = StreamTelemetry(metrics, StreamStatus("quividi", name, "viewers"), types)
        vendor = VendorTelemetry(metrics, name)
        stream.configured(policy())
        stream.owned(CHECKPOINT, 0)
        stream.committed(Tally({"fresh": 1}, {types[0]: 1}, {}, [0]), CHECKPOINT, 1, START)
        stream.polled(WINDOW, 1, 0.5, CHECKPOINT, behind=False, now=START)
        vendor.request_completed("200", 0.5, 1000)
        vendor.export_completed(10)
    return metrics


def test_a_histogram_has_at_most_eight_buckets() -> None:
    for family in full(1).registry.collect():
        if family.type == "histogram":
            assert MAX_BUCKETS >= sum(each.name.endswith("_bucket") for each in family.samples), family.name


def test_the_metrics_of_500_sources_are_small() -> None:
    """All of one replica, and active. Prometheus requests them compressed."""
    text = generate_latest(full(SOURCES).registry)
    assert MAX_BYTES > len(text)
    assert MAX_TRANSFERRED > len(gzip.compress(text))
