"""The dashboard of one account: its requests, exports, windows and lateness."""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.grafana import streams
from deploy.grafana.boards import (
    SOURCES,
    STREAMS,
    Rows,
    board,
    hidden,
    multi_variable,
    numbered,
    variable,
    with_status_page,
)
from deploy.grafana.panels import ORANGE, line_panel, with_limit
from deploy.grafana.promql import increase, max_by, mean, per_second, source, stream, sum_by
from deploy.grafana.streams import BY_STREAM, NAME

OWNER = 'label_values(collector:stream_owner{job="$job", source="$source"}, instance)'
MAX_EXPORTS = 3
"""VidiCenter builds at most three exports of an account at a time."""
NEAR_TIMEOUT_S = 60
"""The default timeout of a source: a request fails when nothing arrives for this time."""


def _requests() -> Sequence[Builder[Panel]]:
    return (
        line_panel(
            "Requests by code",
            "Requests by HTTP status code; error: no response. 401 and 403: check the key. 429: lower "
            "max_requests_per_minute. 5xx: the vendor's server has failed.",
            {"{{code}}": sum_by("code", per_second(source("collector_vendor_requests_total")))},
            unit="reqps",
        ),
        with_limit(
            line_panel(
                "Duration of requests by code, mean",
                "Time to the end of the response body. Near the source's timeout (the line is its default), the vendor "
                "is slow and windows shrink. Slow errors are timeouts of the vendor or of a proxy.",
                {"{{code}}": mean("code", source, "collector_vendor_request_duration_seconds")},
                unit="s",
            ),
            NEAR_TIMEOUT_S,
            ORANGE,
        ),
        line_panel(
            "Size of responses",
            "Bytes per second after decompression. The download rate often limits how fast history is fetched.",
            {"{{source}}": sum_by("source", per_second(source("collector_vendor_response_bytes_total")))},
            unit="binBps",
        ),
        with_limit(
            line_panel(
                "Exports in flight",
                "Exports that the source waits for. If it stays at the line, another client exports with the same "
                "account, or the intervals are too short.",
                {"{{source}}": sum_by("source", source("collector_exports_in_flight"))},
                unit="short",
                width=12,
            ),
            MAX_EXPORTS,
            ORANGE,
        ),
        line_panel(
            "Duration of exports, mean of an hour",
            "Time from the request of an export to its end. Minutes are common. If it approaches the interval of the "
            "limit, lengthen the interval.",
            {"{{source}}": mean("source", source, "collector_export_duration_seconds", over="1h")},
            unit="s",
            width=12,
            limits={
                "{{source}}, shortest interval": f"min by (source) ({stream('collector:stream_interval_seconds')})"
            },
        ),
    )


def _windows() -> Sequence[Builder[Panel]]:
    return (
        line_panel(
            "Polls",
            "Polled windows by outcome. retry: a temporary error, the window is fetched again. park: an operator must "
            "act, see the status page.",
            {f"{NAME} {{{{outcome}}}}": sum_by(f"{BY_STREAM}, outcome", per_second(stream("collector_polls_total")))},
            unit="ops",
        ),
        line_panel(
            "Duration of polls, mean",
            "Time from the first request of a window to its last commit. If polls are slow and requests are fast, "
            "Kafka is slow; if both are slow, the vendor is.",
            {NAME: mean(BY_STREAM, stream, "collector_poll_duration_seconds")},
            unit="s",
            limits={NAME: max_by(BY_STREAM, stream("collector:stream_interval_seconds"))},
        ),
        line_panel(
            "Largest window",
            "Length of the largest window that is fetched. It shrinks automatically while responses are large or "
            "slow. If it stays at one minute, the source has too many devices: split it into several sources.",
            {NAME: max_by(BY_STREAM, stream("collector_window_span_seconds"))},
            unit="s",
        ),
    )


def _lateness() -> Sequence[Builder[Panel]]:
    return (
        line_panel(
            "Delay of events",
            "Mean time from the end of a fresh record to its commit, at the live edge. Most "
            "of it is the vendor's upload and the stream's interval.",
            {NAME: mean(BY_STREAM, stream, "collector_event_delay_seconds")},
            unit="s",
            limits={NAME: max_by(BY_STREAM, stream("collector:freshness_target_seconds"))},
        ),
        line_panel(
            "Records by outcome",
            "Duplicates are normal, because windows overlap and are fetched again. Late records and revisions are "
            "found by sweeps. Rejected records become dead letters.",
            {f"{NAME} {{{{outcome}}}}": sum_by(f"{BY_STREAM}, outcome", per_second(stream("collector_records_total")))},
            unit="recps",
        ),
        line_panel(
            "Ledger entries",
            "Records published after final, and their revisions: about 20 bytes of memory each. Proportional to "
            "allowed_lateness. If it only grows, final does not advance.",
            {NAME: max_by(BY_STREAM, stream("collector_ledger_entries"))},
            unit="short",
        ),
    )


def _quality() -> Sequence[Builder[Panel]]:
    dead_letters = increase(stream("collector_dead_letters_total"), "$__rate_interval")

    def changed(what: str) -> str:
        return increase(stream(f"collector_fields_{what}_total"), "$__rate_interval")

    return (
        line_panel(
            "Dead letters",
            "Rows that could not be published, by reason. Many at once usually mean that the vendor changed its "
            "format: see the topic collector.dead_letters.",
            {f"{NAME} {{{{reason}}}}": sum_by(f"{BY_STREAM}, reason", dead_letters)},
            unit="short",
        ),
        line_panel(
            "Missing records",
            "Records that have not been received, as gaps in the vendor's sequence numbers show. Falls when records "
            "arrive late, or when no more are expected: the log event records_missing then names them.",
            {NAME: max_by(BY_STREAM, stream("collector:missing_records"))},
            unit="short",
        ),
        line_panel(
            "Fields not as documented",
            "By the vendor's name of the field. Ignored: rows in which it could not be understood. Absent, unknown: "
            "responses that lack it, or have one that the collector does not know. The vendor changed its format.",
            {
                f"{NAME} {{{{field}}}} {what}": sum_by(f"{BY_STREAM}, field", changed(what))
                for what in ("ignored", "absent", "unknown")
            },
            unit="short",
        ),
    )


ROWS: Rows = {
    "Streams": streams.panels,
    "Requests and exports": _requests,
    "Windows": _windows,
    "Lateness": _lateness,
    "What the vendor sends": _quality,
}


def source_board() -> model.Dashboard:
    built = board(
        "collector-source",
        "Collector: Source",
        "One account: its requests, exports, windows and lateness.",
        [
            variable("source", "Source", SOURCES),
            multi_variable("stream", "Stream", STREAMS),
            hidden("instance", OWNER),
        ],
        ROWS,
    )
    return numbered(with_status_page(built).time("now-6h", "now"))
