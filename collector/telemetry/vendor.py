"""What happens between this process and a vendor."""

from collections.abc import Callable, Mapping

from collector.telemetry.metrics import Metrics
from collector.telemetry.status import SourceStatus


class VendorTelemetry:
    """Tells of the requests and the exports of one source."""

    def __init__(
        self,
        metrics: Metrics,
        source: str,
        status: SourceStatus | None = None,
        watch: Callable[[str], None] | None = None,
    ) -> None:
        self._metrics = metrics
        self._source = source
        self._status = status or SourceStatus("", source)
        self._watch = watch
        self._requests = 0

    def request_completed(self, code: str, took_s: float, size: int) -> None:
        """A request ended: status code or `error`, seconds, bytes of the body."""
        self._metrics.vendor_requests.labels(self._source, code).inc()
        self._metrics.vendor_request_duration.labels(self._source).observe(took_s)
        self._metrics.vendor_response_bytes.labels(self._source).inc(size)
        self._requests += 1
        self._say("" if code == "200" else f", the last answer was {code}")

    def set_export_limit(self, at_once: int) -> None:
        """The vendor builds so many exports of the account at a time."""
        self._status.max_exports = at_once

    def export_started(self) -> None:
        """The vendor is asked to build an export."""
        self._export_count_changed(+1)

    def export_ended(self) -> None:
        """The source waits for the export no longer, whether or not it was fetched."""
        self._export_count_changed(-1)

    def _export_count_changed(self, change: int) -> None:
        self._metrics.exports_in_flight.labels(self._source).inc(change)
        self._status.exports_in_flight += change
        self._say()

    def export_completed(self, took_s: float) -> None:
        """An export came to its end, so many seconds after it was asked for."""
        self._metrics.export_duration.labels(self._source).observe(took_s)

    def counters(self, values: Mapping[str, float]) -> None:
        """What the vendor itself counts of the account, by name."""
        for name, value in values.items():
            self._metrics.vendor_counters.labels(self._source, name).set(value)

    def _say(self, more: str = "") -> None:
        """For somebody who waits."""
        if self._watch is not None:
            export = "the vendor builds an export" if self._status.exports_in_flight else "asking"
            self._watch(f"{export}, requests so far: {self._requests}{more}")


def standalone_telemetry(watch: Callable[[str], None] | None = None) -> VendorTelemetry:
    """For the commands that ask a vendor and count nothing; `watch` is told what is going on, in words."""
    return VendorTelemetry(Metrics(), "", watch=watch)
