"""The dashboard for operators. Its first row says whether anything is wrong, and where; the others why."""

from itertools import count

from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from deploy.grafana import first, rest
from deploy.grafana.panels import CURSOR, DATASOURCE

ROWS = {
    "Is anything wrong, and where?": first.panels,
    "Freshness": rest.freshness,
    "Throughput": rest.throughput,
    "Vendors": rest.vendors,
    "Kafka": rest.kafka,
    "Replicas": rest.replicas,
}


def operators() -> model.Dashboard:
    board = (
        Dashboard("Collector")
        .uid("collector-operators")
        .description("Whether the collector publishes all that its vendors have. It needs deploy/prometheus/rules.yml.")
        .tags(["collector"])
        .readonly()
        .tooltip(CURSOR)
        .time("now-6h", "now")
        .refresh("30s")
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_one("job", "Job", "label_values(collector_build_info, job)"))
        .with_variable(_some("instance", "Replica", 'label_values(collector_build_info{job="$job"}, instance)'))
        .with_variable(_some("source", "Source", 'label_values(collector_stream_state{job="$job"}, source)'))
        .with_variable(
            _some("stream", "Stream", 'label_values(collector_stream_state{job="$job", source=~"$source"}, stream)')
        )
    )
    for title, panels in ROWS.items():
        board.with_row(Row(title))
        for panel in panels():
            board.with_panel(panel)
    return _numbered(board.build())


def _one(name: str, label: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
    )


def _some(name: str, label: str, query: str) -> QueryVariable:
    everything = VariableOption(selected=True, text=["All"], value=["$__all"])
    return _one(name, label, query).multi(True).include_all(True).all_value(".*").current(everything)  # noqa: FBT003 - the SDK's


def _numbered(board: model.Dashboard) -> model.Dashboard:
    """Links to a panel are by its number, and each query of a panel has a letter or a name."""
    numbers = count(1)
    for panel in board.panels or ():
        panel.id_val = next(numbers)
        for place, query in enumerate(getattr(panel, "targets", None) or ()):
            query.ref_id = query.ref_id or chr(ord("A") + place)
    return board
