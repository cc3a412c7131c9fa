"""The dashboard for operators. The first row shows whether anything is wrong, and where; the other rows show why."""

from itertools import count

from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from deploy.grafana import details, overview
from deploy.grafana.panels import CURSOR, DATASOURCE

ROWS = {
    "Is anything wrong, and where?": overview.panels,
    "Freshness": details.freshness,
    "Throughput": details.throughput,
    "Vendors": details.vendors,
    "Kafka": details.kafka,
    "Replicas": details.replicas,
}


def operators() -> model.Dashboard:
    board = (
        Dashboard("Collector")
        .uid("collector-operators")
        .description(
            "Whether the collector publishes all data of its vendors. Requires the rules of "
            "deploy/prometheus/rules.yml."
        )
        .tags(["collector"])
        .readonly()
        .tooltip(CURSOR)
        .time("now-6h", "now")
        .refresh("30s")
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_variable("job", "Job", "label_values(collector_build_info, job)"))
        .with_variable(
            _multi_variable("instance", "Replica", 'label_values(collector_build_info{job="$job"}, instance)')
        )
        .with_variable(_multi_variable("source", "Source", 'label_values(collector_stream_state{job="$job"}, source)'))
        .with_variable(
            _multi_variable(
                "stream", "Stream", 'label_values(collector_stream_state{job="$job", source=~"$source"}, stream)'
            )
        )
    )
    for title, panels in ROWS.items():
        board.with_row(Row(title))
        for panel in panels():
            board.with_panel(panel)
    return _numbered(board.build())


def _variable(name: str, label: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
    )


def _multi_variable(name: str, label: str, query: str) -> QueryVariable:
    all_values = VariableOption(selected=True, text=["All"], value=["$__all"])
    return _variable(name, label, query).multi(True).include_all(True).all_value(".*").current(all_values)  # noqa: FBT003 - the SDK's signature


def _numbered(board: model.Dashboard) -> model.Dashboard:
    """Assign consecutive ids to the panels, so that links to them are stable, and an id to each query."""
    numbers = count(1)
    for panel in board.panels or ():
        panel.id_val = next(numbers)
        for index, query in enumerate(getattr(panel, "targets", None) or ()):
            query.ref_id = query.ref_id or chr(ord("A") + index)
    return board
