"""What is marked on all time axes: restarts, rebalances, deploys and firing alerts."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from deploy.grafana.panels import BLUE, DATASOURCE, ORANGE, RED


class Annotation(Struct, frozen=True):
    """A query whose results are marked, and their texts."""

    name: str
    colour: str
    expr: str
    title: str
    text: str = "{{instance}}"


def annotations(alerts: str) -> Sequence[Annotation]:
    """The annotations of a dashboard. `alerts` are further matchers that select its alerts."""
    info = 'collector_build_info{job="$job"}'
    return (
        Annotation(
            "Restarts",
            ORANGE,
            'time() - process_start_time_seconds{job="$job"} < 120',  # two minutes: eight scrapes
            "started",
        ),
        Annotation("Rebalances", BLUE, 'changes(collector_rebalances_total{job="$job"}[1m]) > 0', "rebalance"),
        # A version is new for ten minutes, longer than a rollout of two replicas leaves none of an older one.
        Annotation(
            "Deploys",
            "purple",
            f"max by (version) ({info}) unless on (version) {info} offset 10m",
            "version {{version}}",
            "deployed",
        ),
        Annotation(
            "Firing alerts",
            RED,
            f'ALERTS{{alertstate="firing", alertname=~"Collector.*"{alerts}}}',
            "{{alertname}}",
            "{{source}} {{stream}} {{instance}}",
        ),
    )


def as_json(each: Annotation) -> Mapping[str, object]:
    """The annotation as Grafana stores it. The builders of the SDK lack its texts."""
    return {
        "datasource": {"type": DATASOURCE.type_val, "uid": DATASOURCE.uid},
        "enable": True,
        "expr": each.expr,
        "iconColor": each.colour,
        "name": each.name,
        "step": "15s",  # as often as Prometheus requests the metrics
        "textFormat": each.text,
        "titleFormat": each.title,
    }
