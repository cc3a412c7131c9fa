"""Every metric, once: base units, `_total` counters, timestamps instead of ages, bounded labels."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from collector import __version__
from collector.telemetry.log_target import stderr_target

_STREAM = ("source", "stream")
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_EXPORT_SECONDS = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_DELAY_SECONDS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 3 * 3600, 12 * 3600, 24 * 3600)


disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nothing here reads


class LogErrors(Collector):
    """What the log's target counts itself: it loses lines before there are metrics, and wherever a lock may be held."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        text = "Log lines that could not be written."
        yield CounterMetricFamily("collector_log_errors", text, value=stderr_target().lost)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"collector_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(f"collector_{name}", text, labels, registry=registry)

        def histogram(
            name: str, text: str, labels: tuple[str, ...] = (), buckets: tuple[float, ...] = _SECONDS
        ) -> Histogram:
            return Histogram(f"collector_{name}", text, labels, registry=registry, buckets=buckets)

        gauge("build_info", "1, labelled with the version.", ("version",)).labels(__version__).set(1)

        self.log_errors = LogErrors()
        registry.register(self.log_errors)

        self.stream_state = gauge("stream_state", "1 for the state a stream is in.", (*_STREAM, "state"))
        self.stream_interval = gauge(
            "stream_interval_seconds",
            "Longest time between two polls of a healthy stream: its interval, or the length of its periods.",
            _STREAM,
        )
        self.watermark = gauge(
            "watermark_timestamp_seconds", "Before it, all that the vendor had is published.", _STREAM
        )
        self.final = gauge("final_timestamp_seconds", "Before it, nothing is expected any more.", _STREAM)
        self.last_success = gauge("last_success_timestamp_seconds", "When a window was last taken whole.", _STREAM)
        self.window_span = gauge("window_span_seconds", "The largest window that is asked for at present.", _STREAM)
        self.ledger_entries = gauge("ledger_entries", "Entries of what is published after final.", _STREAM)

        self.polls = counter("polls_total", "Windows asked for: ok, empty, retry, park.", (*_STREAM, "outcome"))
        self.poll_duration = histogram("poll_duration_seconds", "From asking to the last commit.", _STREAM)
        self.records = counter(
            "records_total",
            "Records, when durable: fresh, late, revision, duplicate, outside, rejected.",
            (*_STREAM, "outcome"),
        )
        self.events = counter("events_published_total", "Events, when durable.", (*_STREAM, "type"))
        self.event_delay = histogram(
            "event_delay_seconds", "End of a fresh record to its commit, at the live edge.", _STREAM, _DELAY_SECONDS
        )
        self.dead_letters = counter("dead_letters_total", "Dead letters, when durable.", (*_STREAM, "reason"))

        self.missing_records = gauge(
            "missing_records", "Gaps in the vendor's sequence numbers: records not received so far.", _STREAM
        )
        self.vendor_requests = counter(
            "vendor_requests_total", "Requests by status code; `error` without one.", ("source", "code")
        )
        self.vendor_request_duration = histogram(
            "vendor_request_duration_seconds", "Request to the end of the body.", ("source",)
        )
        self.vendor_response_bytes = counter(
            "vendor_response_bytes_total", "Bytes of bodies, decompressed.", ("source",)
        )
        self.vendor_counters = gauge(
            "vendor_counters", "What the vendor itself counts of the account.", ("source", "counter")
        )
        self.exports_in_flight = gauge("exports_in_flight", "Exports under way at the vendor.", ("source",))
        self.export_duration = histogram(
            "export_duration_seconds", "From asking for an export to its end.", ("source",), _EXPORT_SECONDS
        )

        self.kafka_ready = gauge("kafka_ready", "1 when Kafka answers, its topics are right and the group is joined.")
        self.transactions = counter(
            "transactions_total", "Kafka transactions: committed, aborted, fenced.", ("outcome",)
        )
        for outcome in ("committed", "aborted", "fenced"):
            self.transactions.labels(outcome)
        self.transaction_duration = histogram("transaction_duration_seconds", "Begin to commit.")
        self.owned_partitions = gauge("owned_partitions", "State partitions that this process runs.")
        self.rebalances = counter("rebalances_total", "Assignments received from the group.")
        self.restore_duration = histogram("state_restore_duration_seconds", "Fencing and reading a partition's state.")
        self.restore_progress = gauge(
            "state_restore_progress_ratio", "Share that is read of the state being restored; 1 when none is."
        )
        self.restore_progress.set(1)
