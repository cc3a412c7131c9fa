"""The rows after the first: what happened, and how fast."""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.grafana.first import STATE, STATE_NAMES
from deploy.grafana.panels import Column, lines, rows, timeline
from deploy.grafana.promql import counted, newest, per_second, quantile, replica, source, stream, total

EACH = "source, stream"
NAME = "{{source}}/{{stream}}"


def freshness() -> Sequence[Builder[Panel]]:
    final = f"time() - {newest(EACH, stream('collector_final_timestamp_seconds'))}"
    delay = stream("collector_event_delay_seconds_bucket")
    return (
        timeline(
            "States",
            "Since when a stream is in its state. Of two, while it moves between replicas, the worse is shown.",
            {NAME: STATE},
            [STATE_NAMES],
        ),
        lines(
            "Behind now",
            "Before now minus this, all that the vendor had is published. It follows the stream's settle and "
            "interval; if it grows, the stream cannot keep up, or its vendor is away.",
            {NAME: newest(EACH, stream("collector:watermark_age_seconds"))},
            unit="s",
        ),
        lines(
            "Last success ago",
            "How long ago a window was taken whole. A saw whose teeth are as high as the stream's interval; beyond "
            "the limit in deploy/prometheus/rules.yml it is stale.",
            {NAME: newest(EACH, stream("collector:success_age_seconds"))},
            unit="s",
        ),
        lines(
            "Final behind now",
            "Before now minus this, nothing is expected any more. Somewhat more than allowed_lateness; if it grows, "
            "the sweeps do not come to their end: see the polls that failed.",
            {NAME: final},
            unit="s",
        ),
        lines(
            "Delay of events",
            "From a fresh record's end to its commit, at the live edge: half are below the one, 95 % below the "
            "other. Most of it is the vendor's upload and the stream's interval.",
            {f"{NAME} 50 %": quantile(0.5, EACH, delay), f"{NAME} 95 %": quantile(0.95, EACH, delay)},
            unit="s",
            width=24,
        ),
    )


def throughput() -> Sequence[Builder[Panel]]:
    polls = stream("collector_polls_total")
    letters = counted(stream("collector_dead_letters_total"), "$__rate_interval")
    return (
        lines(
            "Events",
            "Published events by type. None at night is common; none by day, with the stream live: ask the vendor "
            "whether its devices upload.",
            {f"{NAME} {{{{type}}}}": total(f"{EACH}, type", per_second(stream("collector_events_published_total")))},
            unit="eps",
        ),
        lines(
            "Records",
            "What the vendor's rows were: duplicates are asked for again on purpose; late ones and revisions come "
            "with sweeps; rejected ones are dead letters.",
            {f"{NAME} {{{{outcome}}}}": total(f"{EACH}, outcome", per_second(stream("collector_records_total")))},
            unit="recps",
        ),
        lines(
            "Polls",
            "Windows asked for. retry: the vendor did not answer, it is asked again. park: an operator is needed, "
            "see /api/status.",
            {f"{NAME} {{{{outcome}}}}": total(f"{EACH}, outcome", per_second(polls))},
            unit="ops",
        ),
        lines(
            "Duration of polls, 95 %",
            "From asking to the last commit. Long ones beside short requests: Kafka is slow; beside long requests: "
            "the vendor is.",
            {NAME: quantile(0.95, EACH, stream("collector_poll_duration_seconds_bucket"))},
            unit="s",
        ),
        lines(
            "Largest window",
            "What is asked for at once. It shrinks by itself while answers are large or slow; if it stays at a "
            "minute, the source has too many devices for one: make several.",
            {NAME: newest(EACH, stream("collector_window_span_seconds"))},
            unit="s",
        ),
        lines(
            "Dead letters",
            "Rows that could not be published as they are, by reason. Many at once: the vendor changed its format; "
            "see the topic collector.dead_letters.",
            {f"{NAME} {{{{reason}}}}": total(f"{EACH}, reason", letters)},
            unit="short",
        ),
        lines(
            "Missing records",
            "Not received so far, as gaps in the vendor's sequence numbers show. Falls when records arrive late, or "
            "when nothing more is expected: the log event records_missing then names them.",
            {NAME: newest(EACH, stream("collector:missing_records"))},
            unit="short",
            width=12,
        ),
        lines(
            "Ledger entries",
            "What is published after final, some 20 bytes each. It follows allowed_lateness; if it only grows, final "
            "stands still.",
            {NAME: newest(EACH, stream("collector_ledger_entries"))},
            unit="short",
            width=12,
        ),
    )


def vendors() -> Sequence[Builder[Panel]]:
    took = source("collector_vendor_request_duration_seconds_bucket")
    return (
        lines(
            "Requests",
            "By status code; error: none came. 401 and 403: the key; 429: lower max_requests_per_minute; 5xx: the "
            "vendor's own trouble.",
            {"{{source}} {{code}}": total("source, code", per_second(source("collector_vendor_requests_total")))},
            unit="reqps",
        ),
        lines(
            "Duration of requests",
            "To the end of the body: half are below the one, 95 % below the other. Near the source's timeout: the "
            "vendor is slow, and windows shrink.",
            {"{{source}} 50 %": quantile(0.5, "source", took), "{{source}} 95 %": quantile(0.95, "source", took)},
            unit="s",
        ),
        lines(
            "Bytes of answers",
            "After decompression. A backfill is bound by these; see that they are worth their network.",
            {"{{source}}": total("source", per_second(source("collector_vendor_response_bytes_total")))},
            unit="binBps",
        ),
        lines(
            "Exports under way",
            "At the vendor, who allows three at a time to one account. At three for long: somebody else exports too, "
            "or intervals are too short.",
            {"{{source}}": total("source", source("collector_exports_in_flight"))},
            unit="short",
        ),
        lines(
            "Duration of exports, 95 % of an hour",
            "From asking for one to its end. Minutes are common; if it comes near the stream's interval, make that "
            "longer.",
            {"{{source}}": quantile(0.95, "source", source("collector_export_duration_seconds_bucket"), over="1h")},
            unit="s",
        ),
        lines(
            "The vendor's own counters",
            "What the vendor counts of the account, where the stream counters runs: to hold against the numbers "
            "beside it.",
            {"{{source}} {{counter}}": newest("source, counter", source("collector_vendor_counters"))},
            unit="short",
        ),
    )


def kafka() -> Sequence[Builder[Panel]]:
    restore = "collector_state_restore_duration_seconds"
    return (
        lines(
            "Transactions",
            "aborted: nothing of it is kept, and all is done again. fenced: another replica took over. Either for "
            "long: see the log, and the brokers.",
            {"{{outcome}}": total("outcome", per_second(replica("collector_transactions_total")))},
            unit="ops",
        ),
        lines(
            "Duration of transactions, 95 %",
            "From begin to commit. Seconds: brokers are slow, or a replica of a partition is missing.",
            {"{{instance}}": quantile(0.95, "instance", replica("collector_transaction_duration_seconds_bucket"))},
            unit="s",
        ),
        lines(
            "Partitions by replica",
            "State partitions that a replica runs: one for each account, or for several. None for all: Kafka is "
            "away. None for one: there are more replicas than partitions with accounts.",
            {"{{instance}}": replica("collector_owned_partitions")},
            unit="short",
        ),
        lines(
            "Rebalances",
            "Assignments that a replica received, in an hour. Each start and stop of a replica is one or two; "
            "without those: members are lost, see session_timeout and the network.",
            {"{{instance}}": f"increase({replica('collector_rebalances_total')}[1h])"},
            unit="short",
            width=8,
        ),
        lines(
            "Duration of restores, on average",
            "Fencing the former owner, and reading a partition's state; that long a hand-over takes. Long ones: a "
            "large ledger, or a state topic that is not compacted.",
            {"{{instance}}": f"{replica(restore + '_sum')} / {replica(restore + '_count')}"},
            unit="s",
            width=8,
        ),
        lines(
            "Progress of restores",
            "Share that is read of the state that is being restored; 100 % while none is. One that stands is begun "
            "anew after half a minute: see the log, and the brokers.",
            {"{{instance}}": replica("collector_state_restore_progress_ratio")},
            unit="percentunit",
            width=8,
        ),
    )


def replicas() -> Sequence[Builder[Panel]]:
    started = f"time() - {replica('process_start_time_seconds')}"
    versions = newest("instance, version", replica("collector_build_info"))
    return (
        rows(
            "Replicas",
            "Each with its version. Two versions for longer than a rollout takes: it stopped half-way. A short age "
            "without a rollout: it restarted, see its log and its memory limit.",
            {"instance": "Replica", "version": "Version"},
            [
                Column("Age", newest("instance", started), "s"),
                Column("Partitions", newest("instance", replica("collector_owned_partitions"))),
                Column("Version", versions, is_shown=False),
            ],
            width=8,
            height=8,
        ),
        lines(
            "Memory",
            "Below 200 MiB, whatever is configured, with three million ledger entries 60 MiB more. More is a fault: "
            "please report it.",
            {"{{instance}}": replica("process_resident_memory_bytes")},
            unit="bytes",
        ),
        lines(
            "Processor",
            "Of one core, which is all that a replica can use. A backfill uses it whole; else little is needed.",
            {"{{instance}}": f"rate({replica('process_cpu_seconds_total')}[$__rate_interval])"},
            unit="percentunit",
        ),
        lines(
            "Log lines lost",
            "Lines that could not be written: the disk is full, or the log's reader is away or too slow. Only the log "
            "is affected.",
            {"{{instance}}": counted(replica("collector_log_errors_total"), "$__rate_interval")},
            unit="short",
            width=24,
        ),
    )
