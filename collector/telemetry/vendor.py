"""Requests to a vendor."""

from collections.abc import Callable

from collector.telemetry.metrics import Metrics

Asked = Callable[[str, float, int], None]
"""Status code or `error`, seconds, bytes of the body."""


def asking(metrics: Metrics, source: str) -> Asked:
    """What counts the requests of one source."""

    def asked(code: str, took_s: float, size: int) -> None:
        metrics.vendor_requests.labels(source, code).inc()
        metrics.vendor_request_duration.labels(source).observe(took_s)
        metrics.vendor_response_bytes.labels(source).inc(size)

    return asked


def unheard(_code: str, _took_s: float, _size: int) -> None:
    """For the commands that ask a vendor and count nothing."""
