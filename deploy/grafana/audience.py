"""The dashboard of what is measured: how many records, whether as many as a week ago, and until when complete."""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.grafana.boards import SOURCE, SOURCES, STREAMS, Rows, board, multi_variable, numbered
from deploy.grafana.panels import GREEN, ORANGE, YELLOW, Column, line_panel, stat_panel, table_panel, thresholds
from deploy.grafana.promql import in_hour, increase, max_by, source, stream, sum_by
from deploy.grafana.streams import BY_STREAM, NAME

FRESH = stream("collector:fresh_records:increase_1h")
NEW = stream("collector_records_total", 'outcome=~"fresh|late"')
LATE = stream("collector_records_total", 'outcome="late"')
REVISIONS = stream("collector_records_total", 'outcome="revision"')
FINAL = max_by(BY_STREAM, stream("collector_final_timestamp_seconds"))


def _now() -> Sequence[Builder[Panel]]:
    silent = 'ALERTS{alertname="CollectorStreamSilent", alertstate="firing", source=~"$source", stream=~"$stream"}'
    return (
        stat_panel(
            "Records, last hour",
            "New records that were published in time, of all selected streams. Late ones are not counted.",
            {"": f"sum({FRESH})"},
            width=6,
        ),
        stat_panel(
            "Of the same hour last week",
            "Records of the last hour, in percent of the same hour a week ago. Holidays and openings explain most "
            "differences. No value: there is no data of that hour.",
            {"": f"sum({FRESH}) / (sum({FRESH} offset 1w) > 0)"},
            unit="percentunit",
            width=6,
        )
        # Weeks differ by a third without a cause. Half of the visitors is a holiday, or a source that has failed.
        .thresholds(thresholds({0.5: YELLOW, 0.7: GREEN}, ORANGE))
        .no_value("unknown"),
        stat_panel(
            "Silent streams",
            "Streams without new records for an hour, although this hour of the week had some in each of the last four "
            "weeks (CollectorStreamSilent).",
            {"": f"count({silent}) or vector(0)"},
            width=6,
        ).thresholds(thresholds({1: ORANGE})),  # one is enough to ask the vendor
        stat_panel(
            "Came late, last day",
            "Share of the new records that ended before the watermark: they were uploaded after their stream's settle. "
            "Do not use hours that are not final for reports.",
            {"": f"sum({increase(LATE, '1d')}) / sum({increase(NEW, '1d')})"},
            unit="percentunit",
            width=6,
        )
        # With the default settle, a few percent of the devices are late. A fifth means that settle is too short.
        .thresholds(thresholds({0.05: YELLOW, 0.2: ORANGE}))
        .no_value("none"),
    )


def _hours() -> Sequence[Builder[Panel]]:
    events = stream("collector_events_published_total")
    return (
        line_panel(
            "Records an hour",
            "New records of the hour before each instant that were published in time. Often there are none at night. "
            "If there are none during the day while the stream is live, ask the vendor whether its devices upload.",
            {NAME: max_by(BY_STREAM, FRESH)},
            unit="short",
            width=12,
        ),
        line_panel(
            "Records an hour, a week ago",
            "The same hour of the last week, to compare with the panel on the left. No data: Prometheus has none of "
            "that time.",
            {NAME: max_by(BY_STREAM, f"{FRESH} offset 1w")},
            unit="short",
            width=12,
        ),
        line_panel(
            "Events an hour",
            "Published events by type. A record may have several, such as a viewer and each content that was seen.",
            {f"{NAME} {{{{type}}}}": sum_by(f"{BY_STREAM}, type", in_hour(events))},
            unit="short",
            width=12,
        ),
        line_panel(
            "Places",
            "Places by state, if the stream locations is configured. late: no upload for 2 hours. silent: none for 24 "
            "hours; see the places on the status page. inactive: switched off at the vendor. unknown: no known upload.",
            {"{{source}} {{state}}": max_by("source, state", source("collector_places"))},
            unit="short",
            width=12,
        ),
    )


def _completeness() -> Sequence[Builder[Panel]]:
    late = f"{sum_by(BY_STREAM, in_hour(LATE))} / {sum_by(BY_STREAM, in_hour(NEW))}"
    return (
        table_panel(
            "Complete until",
            "final of each stream: no more records are expected before it, and reports about the time before it do not "
            "change. The watermark is what is published so far.",
            {"source": "Source", "stream": "Stream"},
            [
                Column("Final behind", f"time() - {FINAL}", "s"),
                Column("Final", f"1000 * {FINAL}", "dateTimeAsIso"),
                Column(
                    "Watermark",
                    f"1000 * {max_by(BY_STREAM, stream('collector:watermark_timestamp_seconds'))}",
                    "dateTimeAsIso",
                ),
            ],
            width=12,
            height=8,
            links={"source": SOURCE},
        ),
        line_panel(
            "Final behind",
            "Time from final to now; no more data is expected before final. Normally slightly more than "
            "allowed_lateness. If it grows, sweeps do not complete: see the outcomes of polls.",
            {NAME: f"time() - {FINAL}"},
            unit="s",
            width=12,
        ),
        line_panel(
            "Share that came late",
            "Share of the new records of the hour before each instant that ended before the watermark. Peaks after "
            "each sweep are normal. If it is always high, settle is too short for these devices.",
            {NAME: late},
            unit="percentunit",
        ),
        line_panel(
            "Revisions an hour",
            "Records that the vendor changed after they had been published. Numbers of periods change until all "
            "devices have uploaded.",
            {NAME: sum_by(BY_STREAM, in_hour(REVISIONS))},
            unit="short",
        ),
        line_panel(
            "Counters of the vendor",
            "The vendor's own counters of the account, if the stream counters is configured. Compare them with the "
            "collector's numbers.",
            {"{{source}} {{counter}}": max_by("source, counter", source("collector_vendor_counters"))},
            unit="short",
        ),
    )


ROWS: Rows = {"Now": _now, "Hour by hour": _hours, "Completeness": _completeness}


def audience() -> model.Dashboard:
    built = board(
        "collector-audience",
        "Collector: Audience",
        "How many records are published, whether as many as a week ago, and up to when they are complete.",
        [multi_variable("source", "Source", SOURCES), multi_variable("stream", "Stream", STREAMS)],
        ROWS,
    )
    return numbered(built.time("now-7d", "now"))
