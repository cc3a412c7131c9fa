"""The first row: whether anything is wrong, and where."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, Panel

from deploy.grafana.panels import BLUE, GREEN, GREY, ORANGE, RED, YELLOW, Column, colours, named, number, rows
from deploy.grafana.promql import counted, newest, stream, total

STATES = {
    "live": (1, GREEN),
    "complete": (2, GREY),
    "catching_up": (3, BLUE),
    "restoring": (4, BLUE),
    "backing_off": (5, ORANGE),
    "parked": (6, RED),
    "not_owned": (7, RED),
}
"""By how much they ask of an operator, and in which colour."""
STATE_NAMES = named({value: (state, colour) for state, (value, colour) in STATES.items()})

STATE = newest(
    "source, stream",
    " or ".join(stream("collector:stream_state", f'state="{state}"') + f" * {n}" for state, (n, _) in STATES.items()),
)
"""The state of each stream, as a number of STATES; of two, while it moves, the worse."""
_STALE = f"{stream('collector:success_age_seconds')} / {stream('collector:stale_after_seconds')}"
_TROUBLE = stream("collector:stream_state", 'state=~"backing_off|parked|not_owned"') + " == 1"
_OWNED = stream("collector_stream_state", 'state!="not_owned"') + " == 1"
_FIRING = 'ALERTS{alertstate="firing", alertname=~"Collector.*"}'


def panels() -> Sequence[Builder[Panel]]:
    return (_replicas(), _kafka(), _states(), _dead_letters(), _missing(), _streams(), _alerts())


def _replicas() -> Builder[Panel]:
    says = "Replicas that answer Prometheus, and those that do not. Others do a silent one's work: see its log."
    up = 'up{job="$job"}'
    return (
        number("Replicas", says, {"up": f"sum({up})", "silent": f"count({up} == 0) or vector(0)"}, width=4)
        .thresholds(colours({1: GREEN}, RED))
        .override_by_name("silent", [DynamicConfigValue("thresholds", colours({1: ORANGE}).build())])
        .no_value("none")
    )


def _kafka() -> Builder[Panel]:
    says = (
        "Whether any replica can work with Kafka: it answers, its topics are right and the group is joined. If away: "
        "/readyz of a replica says why."
    )
    return (
        number("Kafka", says, {"": 'collector:kafka_ready{job="$job"}'})
        .mappings([named({0: ("away", RED), 1: ("ready", GREEN)})])
        .no_value("unknown")
    )


def _states() -> Builder[Panel]:
    says = (
        "Streams by state, over all replicas. parked: an operator is needed, /api/status says for what. backing_off: "
        "the vendor is away, and is asked again. not_owned: no replica runs it. restoring: its state is being "
        "read. catching_up: history, or what was missed."
    )
    panel: stat.Panel = number(
        "Streams by state", says, {"{{state}}": total("state", stream("collector:stream_state"))}, width=11
    )
    for state, (_, colour) in STATES.items():
        steps = colours({1: colour}, GREY).build()
        panel.override_by_name(state, [DynamicConfigValue("thresholds", steps)])
    return panel


def _dead_letters() -> Builder[Panel]:
    says = (
        "Rows that could not be understood, or were too large, in the time that is shown. They are in the topic "
        "collector.dead_letters, with the reason; all others are published."
    )
    letters = counted(stream("collector_dead_letters_total"), "$__range")
    return number("Dead letters", says, {"": f"ceil(sum({letters}))"}).thresholds(colours({1: ORANGE}))


def _missing() -> Builder[Panel]:
    says = (
        "Records that have not been received, as gaps in the vendor's sequence numbers show. Most arrive late, within "
        "hours. Ask the vendor for those that remain: the log event records_missing names them."
    )
    missing = f"sum({stream('collector:missing_records')})"
    return number("Missing records", says, {"": missing}).thresholds(colours({1: YELLOW})).no_value("none known")


def _streams() -> Builder[Panel]:
    says = (
        "The worst first. Trouble: how much of the time after which a stream is stale (deploy/prometheus/rules.yml) "
        "has passed since its last success; 100 % at least while it is backing off, parked or not owned."
    )
    return rows(
        "Streams, the worst first",
        says,
        {"source": "Source", "stream": "Stream", "instance": "Replica"},
        [
            Column(
                "Trouble",
                newest("source, stream", f"{_STALE} or ({_TROUBLE})"),
                "percentunit",
                steps={0.5: YELLOW, 1: RED},
            ),
            Column("State", STATE, "none", mappings=[STATE_NAMES]),
            Column("Last success ago", newest("source, stream", stream("collector:success_age_seconds")), "s"),
            Column("Behind now", newest("source, stream", stream("collector:watermark_age_seconds")), "s"),
            Column("Owner", newest("source, stream, instance", _OWNED), is_shown=False),
        ],
        width=15,
    )


def _alerts() -> Builder[Panel]:
    says = "What Prometheus tells at present, and since when; docs/operations.md says of each what to do."
    since = f"time() - (ALERTS_FOR_STATE and ignoring (alertstate) {_FIRING})"
    labels = {"alertname": "Alert", "severity": "Severity", "source": "Source", "stream": "Stream"}
    return rows("Alerts", says, labels, [Column("For", newest(", ".join(labels), since), "s")], width=9)
