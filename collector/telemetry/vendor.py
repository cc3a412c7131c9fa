"""Telemetry of requests to a vendor."""

from collections.abc import Callable, Mapping, Sequence

import structlog

from collector.places import PLACE_STATES, PlacesHealth
from collector.plurals import counted
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus, SourceStatus

MAX_SHOWN_PLACES = 5
"""The most places that one notice names."""


class VendorTelemetry:
    """Records the requests and the exports of one source.

    `on_progress` is called with a line of text after each request and when an export starts or ends, for commands that
    show progress to a waiting user.
    """

    def __init__(
        self,
        metrics: Metrics,
        source: str,
        status: SourceStatus | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        self._metrics = metrics
        self._source = source
        self._status = status or SourceStatus("", source)
        self._on_progress = on_progress
        self._requests = 0
        self._places_stream: str | None = None
        """The stream that reports the health of the places; None while there is none to report."""
        self._disagreeing: dict[int, str] = {}

    def request_completed(self, code: str, took_s: float, body_bytes: int) -> None:
        """A request ended. `code` is the HTTP status, or `error` if there was no response."""
        self._metrics.vendor_requests.labels(self._source, code).inc()
        self._metrics.vendor_request_duration.labels(self._source, code).observe(took_s)
        self._metrics.vendor_response_bytes.labels(self._source).inc(body_bytes)
        self._requests += 1
        self._report_progress("" if code == "200" else f", last response: {code}")

    def set_export_limit(self, max_exports: int) -> None:
        """The vendor builds at most this many exports of the account at a time."""
        self._status.max_exports = max_exports

    def export_started(self) -> None:
        """The source requests an export, or resumes waiting for one."""
        self._exports_changed(+1)

    def export_ended(self) -> None:
        """The source no longer waits for the export, whether it was fetched or not."""
        self._exports_changed(-1)

    def export_completed(self, took_s: float) -> None:
        """An export was fetched, this many seconds after it was requested."""
        self._metrics.export_duration.labels(self._source).observe(took_s)

    def counters(self, values: Mapping[str, float]) -> None:
        """The vendor's own counters of the account, by name."""
        for name, value in values.items():
            self._metrics.vendor_counters.labels(self._source, name).set(value)

    def places(self, stream: str, health: PlacesHealth) -> None:
        """Whether the account's places upload, as this stream found."""
        self._places_stream, self._status.places = stream, health
        for state in PLACE_STATES:
            self._metrics.places.labels(self._source, state).set(health.counts.get(state, 0))

    def stream_released(self, stream: str) -> None:
        """This process no longer runs a stream of the source: what it has found is not reported any more."""
        if stream != self._places_stream:
            return
        self._places_stream = self._status.places = None
        for state in PLACE_STATES:
            self._metrics.places.remove(self._source, state)

    def places_changed(self, *, added: Sequence[int], removed: Sequence[int]) -> None:
        """The account has other active locations than before. Only of a source that follows the account."""
        structlog.get_logger().info("places_changed", source=self._source, added=list(added), removed=list(removed))

    def zones_checked(self, disagreements: Mapping[int, str]) -> None:
        """The locations whose time zone disagrees with the offset that the vendor states, with the reason for each."""
        log, advice = structlog.get_logger(), "correct timezone, or zones, of the source"
        for place, reason in disagreements.items():
            if place not in self._disagreeing:
                log.warning("zone_disagrees", source=self._source, place=place, reason=reason, advice=advice)
        if self._disagreeing and not disagreements:
            log.info("zones_agree", source=self._source)
        self._disagreeing = dict(disagreements)
        shown = list(disagreements.values())[:MAX_SHOWN_PLACES]
        more = len(disagreements) - len(shown)
        text = "; ".join([*shown, f"and {more} more"] if more else shown)
        self._status.notices = [f"{text}: {advice}"] if shown else []

    def _exports_changed(self, change: int) -> None:
        self._metrics.exports_in_flight.labels(self._source).inc(change)
        self._status.exports_in_flight += change
        self._report_progress()

    def _report_progress(self, suffix: str = "") -> None:
        if self._on_progress is not None:
            activity = "waiting for an export" if self._status.exports_in_flight else "requesting data"
            self._on_progress(f"{activity}, {counted(self._requests, 'request')} so far{suffix}")


def standalone_telemetry(source: str = "", on_progress: Callable[[str], None] | None = None) -> VendorTelemetry:
    """For commands that request data from a vendor without exposing metrics."""
    return VendorTelemetry(Metrics(), source, on_progress=on_progress)


class ClockTelemetry:
    """Records which clocks of vendors' hosts differ from this machine's."""

    def __init__(self, status: ProcessStatus) -> None:
        self._status = status
        self._log = structlog.get_logger()

    def doubted(self, host: str, code: str, reason: str, advice: str) -> None:
        """One of the two clocks must be wrong. `code` names which, as far as it is known."""
        self._status.clock_notices[host] = f"{reason}: {advice}"
        self._log.warning("clocks_differ", host=host, code=code, reason=reason, advice=advice)

    def agrees(self, host: str) -> None:
        """The clock of a host is no longer doubted."""
        self._status.clock_notices.pop(host, None)
        self._log.info("clocks_agree", host=host)
