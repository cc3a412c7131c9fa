"""The first row of the dashboard for operators: whether anything is wrong, and where."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, Panel

from deploy.grafana.boards import RUNBOOK, SOURCE, STATUS_PAGE
from deploy.grafana.panels import (
    GREEN,
    GREY,
    ORANGE,
    RED,
    YELLOW,
    Column,
    stat_panel,
    table_panel,
    thresholds,
    value_mapping,
)
from deploy.grafana.promql import increase, max_by, stream, sum_by
from deploy.grafana.states import STATE, STATE_NAMES, STATES
from deploy.grafana.streams import OBJECTIVE

_STALE = f"{stream('collector:success_age_seconds')} / {stream('collector:stale_after_seconds')}"
_AGE = f"{stream('collector:watermark_age_seconds')} / {stream('collector:freshness_target_seconds')}"
_UNHEALTHY = stream("collector:stream_state", 'state=~"backing_off|parked|not_owned"') + " == 1"
_OWNED = stream("collector:stream_owner")
_FIRING = 'ALERTS{alertstate="firing", alertname=~"Collector.*"}'


def panels() -> Sequence[Builder[Panel]]:
    return (_replicas(), _kafka(), _states(), _fresh(), _dead_letters(), _missing(), _streams(), _alerts())


def _replicas() -> Builder[Panel]:
    description = (
        "Replicas that Prometheus can scrape (up), and those that it cannot (down). Other replicas take over the work "
        "of one that is down; see its log."
    )
    up = 'up{job="$job"}'
    return (
        stat_panel("Replicas", description, {"up": f"sum({up})", "down": f"count({up} == 0) or vector(0)"}, width=4)
        .thresholds(thresholds({1: GREEN}, RED))  # one replica is enough to publish everything
        .override_by_name("down", [DynamicConfigValue("thresholds", thresholds({1: ORANGE}).build())])
        .no_value("none")
    )


def _kafka() -> Builder[Panel]:
    description = (
        "Whether any replica can use Kafka: a broker responds, the topics are valid and the group is joined. If not, "
        "/readyz of a replica reports the reason."
    )
    return (
        stat_panel("Kafka", description, {"": 'collector:kafka_ready{job="$job"}'})
        .mappings([value_mapping({0: ("unavailable", RED), 1: ("ready", GREEN)})])
        .no_value("unknown")
    )


def _states() -> Builder[Panel]:
    description = (
        "Streams by state, over all replicas. parked: an operator must act, see /api/status. backing_off: the vendor "
        "is unavailable, and requests are retried. not_owned: no replica runs the stream. restoring: its state is "
        "being read from Kafka. catching_up: it fetches history."
    )
    panel: stat.Panel = stat_panel(
        "Streams by state", description, {"{{state}}": sum_by("state", stream("collector:stream_state"))}, width=8
    )
    for state, (_, colour) in STATES.items():
        steps = thresholds({1: colour}, GREY).build()
        panel.override_by_name(state, [DynamicConfigValue("thresholds", steps)])
    return panel


def _fresh() -> Builder[Panel]:
    description = (
        "Share of the selected time range in which the watermarks were younger than the streams' freshness. New "
        "streams count from when they have caught up; paused streams do not count."
    )
    fresh = f"avg(avg_over_time({stream('collector:fresh')}[$__range]))"
    # Green: the objective is met. Red: ten times its budget is used up.
    steps = thresholds({1 - 10 * (1 - OBJECTIVE): ORANGE, OBJECTIVE: GREEN}, RED)
    return (
        stat_panel("Fresh", description, {"": fresh}, unit="percentunit")
        .decimals(1)
        .thresholds(steps)
        .no_value("unknown")
    )


def _dead_letters() -> Builder[Panel]:
    description = (
        "Rows within the selected time range that could not be decoded, or whose message was too large. They are in "
        "the topic collector.dead_letters with the reason. All other rows are published."
    )
    dead_letters = increase(stream("collector_dead_letters_total"), "$__range")
    return stat_panel("Dead letters", description, {"": f"ceil(sum({dead_letters}))"}).thresholds(
        thresholds({1: ORANGE})  # CollectorDeadLetters fires from the first one on
    )


def _missing() -> Builder[Panel]:
    description = (
        "Records that have not been received, as gaps in the vendor's sequence numbers show. Most arrive late, within "
        "hours. Ask the vendor for those that remain: the log event records_missing names them."
    )
    missing = f"sum({stream('collector:missing_records')})"
    return (
        stat_panel("Missing records", description, {"": missing})
        .thresholds(thresholds({1: YELLOW}))  # most arrive late: CollectorRecordsMissing waits for eight hours
        .no_value("none known")
    )


def _streams() -> Builder[Panel]:
    description = (
        "Sorted by staleness: the time since the last success, in percent of the time after which a stream is stale "
        "(collector:stale_after_seconds); at least 100 % while it is backing off, parked or not owned."
    )
    return table_panel(
        "Streams, least healthy first",
        description,
        {"source": "Source", "stream": "Stream", "instance": "Replica"},
        [
            Column(
                "Staleness",
                max_by("source, stream", f"{_STALE} or ({_UNHEALTHY})"),
                "percentunit",
                steps={0.5: YELLOW, 1: RED},  # CollectorStreamStale fires at 100 %; half of that is never normal
            ),
            Column("State", STATE, "none", mappings=[STATE_NAMES]),
            Column("Since last success", max_by("source, stream", stream("collector:success_age_seconds")), "s"),
            Column("Behind", max_by("source, stream", stream("collector:watermark_age_seconds")), "s"),
            Column(
                "Of its freshness",
                max_by("source, stream", _AGE),
                "percentunit",
                steps={1: ORANGE},  # the watermark is older than it may be; CollectorFreshnessBurn counts for how long
            ),
            Column("Owner", max_by("source, stream, instance", _OWNED), is_shown=False),
        ],
        width=15,
        links={"source": SOURCE, "instance": STATUS_PAGE},
    )


def _alerts() -> Builder[Panel]:
    description = "Firing alerts, and since when. A click on the name opens its runbook."
    since = f"time() - (ALERTS_FOR_STATE and ignoring (alertstate) {_FIRING})"
    labels = {"alertname": "Alert", "severity": "Severity", "source": "Source", "stream": "Stream"}
    column = Column("For", max_by(", ".join(labels), since), "s")
    return table_panel("Alerts", description, labels, [column], width=9, links={"alertname": RUNBOOK, "source": SOURCE})
