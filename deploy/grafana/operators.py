"""The dashboard for operators: whether anything is wrong, and where. The dashboard of a source shows why."""

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana import overview, processes, streams
from deploy.grafana.boards import SOURCES, STREAMS, Rows, board, multi_variable, numbered

ROWS: Rows = {
    "Is anything wrong, and where?": overview.panels,
    "Streams": streams.panels,
    "Kafka": processes.kafka,
    "Replicas": processes.replicas,
}


def operators() -> model.Dashboard:
    built = board(
        "collector-operators",
        "Collector: Operators",
        "Whether the collector publishes all data of its vendors.",
        [
            multi_variable("instance", "Replica", 'label_values(collector_build_info{job="$job"}, instance)'),
            multi_variable("source", "Source", SOURCES),
            multi_variable("stream", "Stream", STREAMS),
        ],
        ROWS,
    )
    return numbered(built.time("now-6h", "now"))
