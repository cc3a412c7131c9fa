"""All metrics of the collector.

They follow the conventions of Prometheus: base units, counters named `_total`, timestamps instead of ages, and labels
with few values.
"""

from collections.abc import Iterator
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, disable_created_metrics
from prometheus_client.core import CounterMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from collector import __version__
from collector.telemetry.log_target import stderr_target

M = TypeVar("M", Counter, Gauge, Histogram, Summary)

_STREAM = ("source", "stream")
# A histogram has at most eight buckets, with that of `+Inf`. A source has none, but summaries: decision 56.
_COMMIT_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 5, 20)
"""A commit takes 10 ms; its deadline is 20 s by default."""
_RESTORE_SECONDS = (0.1, 0.3, 1, 3, 10, 60, 300)
"""Fencing takes a fraction of a second, and millions of records are read in seconds."""


disable_created_metrics()  # type: ignore[no-untyped-call]  # no `_created` series


class LogErrors(Collector):
    """Reads the count of lost lines from the log's target.

    The target has a counter of its own, because lines may be lost before the metrics exist, or while a thread holds the
    lock of a metric.
    """

    def collect(self) -> Iterator[CounterMetricFamily]:
        text = "Log lines that could not be written."
        yield CounterMetricFamily("collector_log_errors", text, value=stderr_target().lost)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._labelled: list[tuple[frozenset[str], Counter | Gauge | Histogram | Summary]] = []
        """Every metric with the names of its labels."""

        def labelled(metric: M, labels: tuple[str, ...]) -> M:
            self._labelled.append((frozenset(labels), metric))
            return metric

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return labelled(Counter(f"collector_{name}", text, labels, registry=registry), labels)

        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            return labelled(Gauge(f"collector_{name}", text, labels, registry=registry), labels)

        def histogram(name: str, text: str, labels: tuple[str, ...] = (), *, buckets: tuple[float, ...]) -> Histogram:
            made = Histogram(f"collector_{name}", text, labels, registry=registry, buckets=buckets)
            return labelled(made, labels)

        def summary(name: str, text: str, labels: tuple[str, ...] = ()) -> Summary:
            return labelled(Summary(f"collector_{name}", text, labels, registry=registry), labels)

        gauge("build_info", "Always 1; labeled with the version.", ("version",)).labels(__version__).set(1)

        self.log_errors = LogErrors()

        self.stream_state = gauge(
            "stream_state", "1 for the state that the stream is in, 0 for those that it was in.", (*_STREAM, "state")
        )
        self.stream_interval = gauge(
            "stream_interval_seconds",
            "Longest time between two polls of a healthy stream: its interval, or the length of its periods.",
            _STREAM,
        )
        self.stream_freshness_target = gauge(
            "stream_freshness_target_seconds", "How old the watermark may be: the stream's `freshness`.", _STREAM
        )
        self.stream_until = gauge(
            "stream_until_timestamp_seconds", "Where a bounded stream ends: its watermark stands after that.", _STREAM
        )
        self.watermark = gauge(
            "watermark_timestamp_seconds", "All data that the vendor had before this time is published.", _STREAM
        )
        self.final = gauge("final_timestamp_seconds", "No more data is expected before this time.", _STREAM)
        self.last_success = gauge(
            "last_success_timestamp_seconds", "Time at which a window was last fetched and published.", _STREAM
        )
        self.window_span = gauge("window_span_seconds", "Largest window that is fetched at present.", _STREAM)
        self.ledger_entries = gauge(
            "ledger_entries", "Entries in the ledger: records published after final, and their revisions.", _STREAM
        )

        self.polls = counter("polls_total", "Polled windows by outcome: ok, empty, retry, park.", (*_STREAM, "outcome"))
        self.poll_duration = summary(
            "poll_duration_seconds", "Time from the first request of a window to its last commit.", _STREAM
        )
        self.records = counter(
            "records_total",
            "Committed records by outcome: fresh, late, revision, duplicate, outside, rejected.",
            (*_STREAM, "outcome"),
        )
        self.events = counter("events_published_total", "Committed events by type.", (*_STREAM, "type"))
        self.event_delay = summary(
            "event_delay_seconds", "Time from the end of a fresh record to its commit, at the live edge.", _STREAM
        )
        self.dead_letters = counter("dead_letters_total", "Committed dead letters by reason.", (*_STREAM, "reason"))

        self.fields_ignored = counter(
            "fields_ignored_total",
            "Received rows in which a field could not be understood and is null, by the vendor's name of the field.",
            (*_STREAM, "field"),
        )
        self.fields_unknown = counter(
            "fields_unknown_total",
            "Responses with a field that the collector does not know, by the vendor's name of the field.",
            (*_STREAM, "field"),
        )
        self.fields_absent = counter(
            "fields_absent_total",
            "Responses without a field that they should have, by the vendor's name of the field.",
            (*_STREAM, "field"),
        )
        self.missing_records = gauge(
            "missing_records",
            "Records not received so far, counted from gaps in the vendor's sequence numbers.",
            _STREAM,
        )
        self.vendor_requests = counter(
            "vendor_requests_total",
            "Requests to the vendor by HTTP status code; `error` if there was no response.",
            ("source", "code"),
        )
        self.vendor_request_duration = summary(
            "vendor_request_duration_seconds",
            "Time from a request to the end of the response body, by code as in vendor_requests_total.",
            ("source", "code"),
        )
        self.vendor_response_bytes = counter(
            "vendor_response_bytes_total", "Size of the vendor's response bodies after decompression.", ("source",)
        )
        self.vendor_counters = gauge(
            "vendor_counters", "The vendor's own counters of the account.", ("source", "counter")
        )
        self.places = gauge(
            "places",
            "Places of the account by state: uploading, late, silent, inactive, unknown.",
            ("source", "state"),
        )
        self.exports_in_flight = gauge("exports_in_flight", "Exports that the source waits for.", ("source",))
        self.export_duration = summary(
            "export_duration_seconds", "Time from the request of an export to its end.", ("source",)
        )

        self.config_reload_successful = gauge(
            "config_last_reload_successful", "1 if the configuration files were valid when they were last read, else 0."
        )
        self.config_reloaded_at = gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration that is in use was read."
        )

        self.kafka_ready = gauge(
            "kafka_ready", "1 if Kafka is available, its topics are valid and the consumer group is joined."
        )
        self.transactions = counter(
            "transactions_total", "Kafka transactions by outcome: committed, aborted, fenced.", ("outcome",)
        )
        self.transaction_duration = histogram(
            "transaction_duration_seconds",
            "Time from the start of a transaction to its commit.",
            buckets=_COMMIT_SECONDS,
        )
        self.registry_requests = counter(
            "schema_registry_requests_total",
            "Requests to the schema registry by outcome: ok, unavailable, refused.",
            ("outcome",),
        )
        self.owned_partitions = gauge("owned_partitions", "State partitions that this replica owns.")
        self.rebalances = counter("rebalances_total", "Assignments received from the consumer group.")
        self.restore_duration = histogram(
            "state_restore_duration_seconds",
            "Time to fence the previous owner and read the state of a partition.",
            buckets=_RESTORE_SECONDS,
        )
        self.restore_progress = gauge(
            "state_restore_progress_ratio",
            "Share of the state read so far by the current restores; 1 if there is none.",
        )
        self._initialize()

    def _initialize(self) -> None:
        """Export what is known before anything happens."""
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.registry.register(self.log_errors)
        self.published = dict.fromkeys(("records", "events", "dead_letters"), 0)
        """What the process has published, also of streams and backfills whose series are removed."""
        for outcome in ("committed", "aborted", "fenced"):
            self.transactions.labels(outcome)
        self.restore_progress.set(1)

    def remove(self, **labels: str) -> None:
        """Remove the series with these labels from all metrics that have them."""
        for names, metric in self._labelled:
            if labels.keys() <= names:
                metric.remove_by_labels(labels)
