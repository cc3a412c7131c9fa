"""The rows of the dashboard for operators about Kafka and the processes."""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.grafana.boards import STATUS_PAGE
from deploy.grafana.panels import GREEN, ORANGE, Column, line_panel, table_panel, value_mapping, with_limit
from deploy.grafana.promql import increase, max_by, per_second, quantile, replica, sum_by

CONFIGURATION = value_mapping({0: ("refused", ORANGE), 1: ("in use", GREEN)})
"""Orange: the collector runs, with the former configuration."""


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
        with_limit(
            line_panel(
                "Duration of transactions, 95 %",
                "Time from the start of a transaction to its commit. If it takes seconds, the brokers are slow, or a "
                "partition lacks an in-sync replica. The line is the deadline by default.",
                {"{{instance}}": quantile(0.95, "instance", replica("collector_transaction_duration_seconds_bucket"))},
                unit="s",
            ),
            20,  # two thirds of kafka.transaction_timeout, 30 s by default
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
    reloaded = replica("collector_config_last_reload_successful")
    read = f"time() - {replica('collector_config_last_reload_success_timestamp_seconds')}"
    versions = max_by("instance, version", replica("collector_build_info"))
    return (
        table_panel(
            "Replicas",
            "Version, uptime and configuration of each replica. Two versions for longer than a rollout: the rollout is "
            "stuck. A short uptime without a rollout: the replica restarted, see its log and its memory limit. "
            "refused: the configuration was changed and is wrong; the former one is in use.",
            {"instance": "Replica", "version": "Version"},
            [
                Column("Uptime", max_by("instance", started), "s"),
                Column("Partitions", max_by("instance", replica("collector_owned_partitions"))),
                Column("Configuration", max_by("instance", reloaded), mappings=[CONFIGURATION]),
                Column("Read", max_by("instance", read), "s"),
                Column("Version", versions, is_shown=False),
            ],
            width=12,
            height=8,
            links={"instance": STATUS_PAGE},
        ),
        line_panel(
            "Memory",
            "Resident memory. Normally below 200 MiB, plus 60 MiB with three million ledger entries. More is a bug: "
            "please report it.",
            {"{{instance}}": replica("process_resident_memory_bytes")},
            unit="bytes",
            width=12,
        ),
        with_limit(
            line_panel(
                "CPU",
                "CPU usage in percent of one core, which is the most that a replica can use. It is near 100 % while "
                "history is fetched, and low otherwise.",
                {"{{instance}}": f"rate({replica('process_cpu_seconds_total')}[$__rate_interval])"},
                unit="percentunit",
                width=12,
            ),
            1,  # one thread does all work
        ),
        line_panel(
            "Lost log lines",
            "Log lines that could not be written, because the disk is full, or the reader of the log is slow or "
            "gone. Data is not affected.",
            {"{{instance}}": increase(replica("collector_log_errors_total"), "$__rate_interval")},
            unit="short",
            width=12,
        ),
    )
