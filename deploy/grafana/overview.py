"""The first row of the dashboard: whether anything is wrong, and where."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, Panel

from deploy.grafana.panels import (
    BLUE,
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

STATES = {
    "live": (1, GREEN),
    "complete": (2, GREY),
    "paused": (3, GREY),
    "catching_up": (4, BLUE),
    "restoring": (5, BLUE),
    "backing_off": (6, ORANGE),
    "parked": (7, RED),
    "not_owned": (8, RED),
}
"""The severity and the colour of each state."""
STATE_NAMES = value_mapping({severity: (state, colour) for state, (severity, colour) in STATES.items()})

STATE = max_by(
    "source, stream",
    " or ".join(stream("collector:stream_state", f'state="{state}"') + f" * {n}" for state, (n, _) in STATES.items()),
)
"""The state of each stream as its severity in STATES; the more severe one while the stream moves between replicas."""
_STALE = f"{stream('collector:success_age_seconds')} / {stream('collector:stale_after_seconds')}"
_UNHEALTHY = stream("collector:stream_state", 'state=~"backing_off|parked|not_owned"') + " == 1"
_OWNED = stream("collector_stream_state", 'state!="not_owned"') + " == 1"
_FIRING = 'ALERTS{alertstate="firing", alertname=~"Collector.*"}'


def panels() -> Sequence[Builder[Panel]]:
    return (_replicas(), _kafka(), _states(), _dead_letters(), _missing(), _streams(), _alerts())


def _replicas() -> Builder[Panel]:
    description = (
        "Replicas that Prometheus can scrape (up), and those that it cannot (down). Other replicas take over the work "
        "of one that is down; see its log."
    )
    up = 'up{job="$job"}'
    return (
        stat_panel("Replicas", description, {"up": f"sum({up})", "down": f"count({up} == 0) or vector(0)"}, width=4)
        .thresholds(thresholds({1: GREEN}, RED))
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
        "Streams by state", description, {"{{state}}": sum_by("state", stream("collector:stream_state"))}, width=11
    )
    for state, (_, colour) in STATES.items():
        steps = thresholds({1: colour}, GREY).build()
        panel.override_by_name(state, [DynamicConfigValue("thresholds", steps)])
    return panel


def _dead_letters() -> Builder[Panel]:
    description = (
        "Rows within the selected time range that could not be decoded, or whose message was too large. They are in "
        "the topic collector.dead_letters with the reason. All other rows are published."
    )
    dead_letters = increase(stream("collector_dead_letters_total"), "$__range")
    return stat_panel("Dead letters", description, {"": f"ceil(sum({dead_letters}))"}).thresholds(
        thresholds({1: ORANGE})
    )


def _missing() -> Builder[Panel]:
    description = (
        "Records that have not been received, as gaps in the vendor's sequence numbers show. Most arrive late, within "
        "hours. Ask the vendor for those that remain: the log event records_missing names them."
    )
    missing = f"sum({stream('collector:missing_records')})"
    return (
        stat_panel("Missing records", description, {"": missing})
        .thresholds(thresholds({1: YELLOW}))
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
                steps={0.5: YELLOW, 1: RED},
            ),
            Column("State", STATE, "none", mappings=[STATE_NAMES]),
            Column("Since last success", max_by("source, stream", stream("collector:success_age_seconds")), "s"),
            Column("Behind", max_by("source, stream", stream("collector:watermark_age_seconds")), "s"),
            Column("Owner", max_by("source, stream, instance", _OWNED), is_shown=False),
        ],
        width=15,
    )


def _alerts() -> Builder[Panel]:
    description = "Firing alerts, and since when. docs/operations.md has a runbook for each."
    since = f"time() - (ALERTS_FOR_STATE and ignoring (alertstate) {_FIRING})"
    labels = {"alertname": "Alert", "severity": "Severity", "source": "Source", "stream": "Stream"}
    return table_panel("Alerts", description, labels, [Column("For", max_by(", ".join(labels), since), "s")], width=9)
