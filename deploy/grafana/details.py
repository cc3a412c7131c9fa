"""The rows of the dashboard below the overview."""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.grafana.overview import STATE, STATE_NAMES
from deploy.grafana.panels import Column, line_panel, state_panel, table_panel
from deploy.grafana.promql import increase, max_by, per_second, quantile, replica, source, stream, sum_by

BY_STREAM = "source, stream"
NAME = "{{source}}/{{stream}}"


def freshness() -> Sequence[Builder[Panel]]:
    final = f"time() - {max_by(BY_STREAM, stream('collector_final_timestamp_seconds'))}"
    delay = stream("collector_event_delay_seconds_bucket")
    return (
        state_panel(
            "States",
            "The state of each stream over time. While a stream moves between replicas, the more severe state is "
            "shown.",
            {NAME: STATE},
            [STATE_NAMES],
        ),
        line_panel(
            "Behind",
            "Time from the watermark to now; all data that the vendor had before the watermark is published. Normally "
            "about the stream's settle plus its interval. If it grows, the stream cannot keep up, or its vendor is "
            "unavailable.",
            {NAME: max_by(BY_STREAM, stream("collector:watermark_age_seconds"))},
            unit="s",
        ),
        line_panel(
            "Since last success",
            "Time since a window was last fetched and published completely. Normally between zero and the stream's "
            "interval. Above collector:stale_after_seconds, the stream is stale.",
            {NAME: max_by(BY_STREAM, stream("collector:success_age_seconds"))},
            unit="s",
        ),
        line_panel(
            "Final behind",
            "Time from final to now; no more data is expected before final. Normally slightly more than "
            "allowed_lateness. If it grows, sweeps do not complete: see the outcomes of polls.",
            {NAME: final},
            unit="s",
        ),
        line_panel(
            "Delay of events",
            "Time from the end of a fresh record to its commit, at the live edge: median and 95th percentile. Most "
            "of it is the vendor's upload and the stream's interval.",
            {f"{NAME} 50 %": quantile(0.5, BY_STREAM, delay), f"{NAME} 95 %": quantile(0.95, BY_STREAM, delay)},
            unit="s",
            width=24,
        ),
    )


def throughput() -> Sequence[Builder[Panel]]:
    polls = stream("collector_polls_total")
    dead_letters = increase(stream("collector_dead_letters_total"), "$__rate_interval")

    def changed(what: str) -> str:
        return increase(stream(f"collector_fields_{what}_total"), "$__rate_interval")

    return (
        line_panel(
            "Events",
            "Published events by type. Often there are none at night. If there are none during the day while the "
            "stream is live, ask the vendor whether its devices upload.",
            {
                f"{NAME} {{{{type}}}}": sum_by(
                    f"{BY_STREAM}, type", per_second(stream("collector_events_published_total"))
                )
            },
            unit="eps",
        ),
        line_panel(
            "Records",
            "Records by outcome. Duplicates are normal, because windows overlap and are fetched again. Late records "
            "and revisions are found by sweeps. Rejected records become dead letters.",
            {f"{NAME} {{{{outcome}}}}": sum_by(f"{BY_STREAM}, outcome", per_second(stream("collector_records_total")))},
            unit="recps",
        ),
        line_panel(
            "Polls",
            "Polled windows by outcome. retry: a temporary error, the window is fetched again. park: an operator must "
            "act, see /api/status.",
            {f"{NAME} {{{{outcome}}}}": sum_by(f"{BY_STREAM}, outcome", per_second(polls))},
            unit="ops",
        ),
        line_panel(
            "Duration of polls, 95 %",
            "Time from the first request of a window to its last commit. If polls are slow and requests are fast, "
            "Kafka is slow; if both are slow, the vendor is.",
            {NAME: quantile(0.95, BY_STREAM, stream("collector_poll_duration_seconds_bucket"))},
            unit="s",
        ),
        line_panel(
            "Largest window",
            "Length of the largest window that is fetched. It shrinks automatically while responses are large or "
            "slow. If it stays at one minute, the source has too many devices: split it into several sources.",
            {NAME: max_by(BY_STREAM, stream("collector_window_span_seconds"))},
            unit="s",
        ),
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
        line_panel(
            "Ledger entries",
            "Records published after final, and their revisions: about 20 bytes of memory each. Proportional to "
            "allowed_lateness. If it only grows, final does not advance.",
            {NAME: max_by(BY_STREAM, stream("collector_ledger_entries"))},
            unit="short",
        ),
    )


def vendors() -> Sequence[Builder[Panel]]:
    took = source("collector_vendor_request_duration_seconds_bucket")
    return (
        line_panel(
            "Requests",
            "Requests by HTTP status code; error: no response. 401 and 403: check the key. 429: lower "
            "max_requests_per_minute. 5xx: the vendor's server has failed.",
            {"{{source}} {{code}}": sum_by("source, code", per_second(source("collector_vendor_requests_total")))},
            unit="reqps",
        ),
        line_panel(
            "Duration of requests",
            "Time to the end of the response body: median and 95th percentile. Near the source's timeout, the vendor "
            "is slow and windows shrink.",
            {"{{source}} 50 %": quantile(0.5, "source", took), "{{source}} 95 %": quantile(0.95, "source", took)},
            unit="s",
        ),
        line_panel(
            "Size of responses",
            "Bytes per second after decompression. The download rate often limits how fast history is fetched.",
            {"{{source}}": sum_by("source", per_second(source("collector_vendor_response_bytes_total")))},
            unit="binBps",
        ),
        line_panel(
            "Exports in flight",
            "Exports that the source waits for. The vendor builds three at a time for an account. If it stays at "
            "three, another client exports with the same account, or the intervals are too short.",
            {"{{source}}": sum_by("source", source("collector_exports_in_flight"))},
            unit="short",
        ),
        line_panel(
            "Duration of exports, 95 % of an hour",
            "Time from the request of an export to its end. Minutes are common. If it approaches the stream's "
            "interval, lengthen the interval.",
            {"{{source}}": quantile(0.95, "source", source("collector_export_duration_seconds_bucket"), over="1h")},
            unit="s",
        ),
        line_panel(
            "Places",
            "Places by state, if the stream locations is configured. late: no upload for 2 hours. silent: none for 24 "
            "hours; see the places on the status page. inactive: switched off at the vendor. unknown: no known upload.",
            {"{{source}} {{state}}": max_by("source, state", source("collector_places"))},
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


def kafka() -> Sequence[Builder[Panel]]:
    restore = "collector_state_restore_duration_seconds"
    return (
        line_panel(
            "Transactions",
            "Transactions by outcome. aborted: rolled back, and its windows are fetched again. fenced: another replica "
            "took over. If either persists, see the log and the brokers.",
            {"{{outcome}}": sum_by("outcome", per_second(replica("collector_transactions_total")))},
            unit="ops",
        ),
        line_panel(
            "Duration of transactions, 95 %",
            "Time from the start of a transaction to its commit. If it takes seconds, the brokers are slow, or a "
            "partition lacks an in-sync replica.",
            {"{{instance}}": quantile(0.95, "instance", replica("collector_transaction_duration_seconds_bucket"))},
            unit="s",
        ),
        line_panel(
            "Requests to the schema registry",
            "Requests by outcome. unavailable: it does not respond, and streams that start wait for it. refused: see "
            "the advice of the stream. No data: no schema registry is configured.",
            {"{{outcome}}": sum_by("outcome", per_second(replica("collector_schema_registry_requests_total")))},
            unit="ops",
        ),
        line_panel(
            "Owned partitions",
            "State partitions that each replica owns; all streams of an account are in one. None for all replicas: "
            "Kafka is unavailable. None for one replica: there are more replicas than partitions with accounts.",
            {"{{instance}}": replica("collector_owned_partitions")},
            unit="short",
        ),
        line_panel(
            "Rebalances",
            "Assignments received per hour. Each start and stop of a replica causes one or two. Others mean that "
            "members are lost: check session_timeout and the network.",
            {"{{instance}}": f"increase({replica('collector_rebalances_total')}[1h])"},
            unit="short",
            width=8,
        ),
        line_panel(
            "Duration of restores, on average",
            "Time to fence the previous owner and read a partition's state, which is the time of a hand-over. If it is "
            "long, the ledger is large, or the state topic is not compacted.",
            {"{{instance}}": f"{replica(restore + '_sum')} / {replica(restore + '_count')}"},
            unit="s",
            width=8,
        ),
        line_panel(
            "Progress of restores",
            "Share of the state that current restores have read; 100 % if there are none. A restore without progress "
            "starts again after half a minute: see the log and the brokers.",
            {"{{instance}}": replica("collector_state_restore_progress_ratio")},
            unit="percentunit",
            width=8,
        ),
    )


def replicas() -> Sequence[Builder[Panel]]:
    started = f"time() - {replica('process_start_time_seconds')}"
    versions = max_by("instance, version", replica("collector_build_info"))
    return (
        table_panel(
            "Replicas",
            "Version and uptime of each replica. Two versions for longer than a rollout: the rollout is stuck. A short "
            "uptime without a rollout: the replica restarted, see its log and its memory limit.",
            {"instance": "Replica", "version": "Version"},
            [
                Column("Uptime", max_by("instance", started), "s"),
                Column("Partitions", max_by("instance", replica("collector_owned_partitions"))),
                Column("Version", versions, is_shown=False),
            ],
            width=8,
            height=8,
        ),
        line_panel(
            "Memory",
            "Resident memory. Normally below 200 MiB, plus 60 MiB with three million ledger entries. More is a bug: "
            "please report it.",
            {"{{instance}}": replica("process_resident_memory_bytes")},
            unit="bytes",
        ),
        line_panel(
            "CPU",
            "CPU usage in percent of one core, which is the most that a replica can use. It is near 100 % while "
            "history is fetched, and low otherwise.",
            {"{{instance}}": f"rate({replica('process_cpu_seconds_total')}[$__rate_interval])"},
            unit="percentunit",
        ),
        line_panel(
            "Lost log lines",
            "Log lines that could not be written, because the disk is full, or the reader of the log is slow or "
            "gone. Data is not affected.",
            {"{{instance}}": increase(replica("collector_log_errors_total"), "$__rate_interval")},
            unit="short",
            width=24,
        ),
    )
