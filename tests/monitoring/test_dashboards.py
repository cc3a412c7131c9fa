"""The Grafana dashboards: up to date, readable, and based on metrics that exist."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from collector.telemetry.metrics import Metrics
from collector.vendors import VENDORS
from deploy.grafana.files import DASHBOARDS, dashboard_files
from tests.monitoring.definitions import (
    GRAFANA,
    PROMETHEUS,
    Query,
    dashboards,
    load,
    panel_queries,
    panels,
    recorded,
    rule_queries,
    rules,
)

PROMETHEUS_METRICS = {"up", "ALERTS", "ALERTS_FOR_STATE"}
EVERY_QUERY = [*panel_queries(), *rule_queries()]
each_panel = pytest.mark.parametrize("panel", list(panels()), ids=lambda panel: panel["title"])


def families() -> dict[str, str]:
    """The names of metrics by the names of their series."""
    return {
        name: family.name
        for family in Metrics().registry.collect()
        for name in (family.name, *(f"{family.name}_{end}" for end in ("total", "bucket", "sum", "count")))
    }


@pytest.mark.parametrize("path", dashboard_files(), ids=lambda path: path.name)
def test_the_committed_dashboard_is_generated_from_the_code(path: Path) -> None:
    committed = path.read_text("utf-8") if path.exists() else ""
    assert dashboard_files()[path] == committed, "out of date: run make dashboards"


def test_there_are_no_other_dashboards() -> None:
    assert set(dashboard_files()) == set(DASHBOARDS.iterdir())


@pytest.mark.parametrize("query", EVERY_QUERY, ids=lambda query: query.name)
def test_a_query_uses_existing_metrics(query: Query) -> None:
    assert query.metrics or query.expr.startswith("vector(")
    assert set() == query.metrics - families().keys() - recorded() - PROMETHEUS_METRICS


def test_every_metric_of_the_collector_is_on_a_dashboard() -> None:
    on_a_panel = {name for query in panel_queries() for name in query.metrics}
    behind_it = {name for query in rule_queries() if query.name in on_a_panel for name in query.metrics}
    used = {families().get(name) for name in on_a_panel | behind_it}
    assert set() == {name for name in families().values() if name.startswith("collector_")} - used


def test_no_rule_names_a_stream() -> None:
    """The rules apply to every stream: limits come from its metrics."""
    names = {name for vendor in VENDORS.values() for name in vendor.event_types}
    for rule in rules():
        assert "stream" not in rule.get("labels", {})
        assert set() == names & set(re.findall(r"\w+", rule["expr"])), rule


@each_panel
def test_a_panel_has_a_description_and_units(panel: Mapping[str, Any]) -> None:
    assert len(panel["description"]) > 40
    assert "${datasource}" == panel["datasource"]["uid"]
    units = [
        value["value"]
        for override in panel["fieldConfig"]["overrides"]
        for value in override["properties"]
        if value["id"] == "unit"
    ]
    assert panel["fieldConfig"]["defaults"].get("unit") or len(panel["targets"]) == len(units)


@each_panel
def test_a_legend_contains_the_labels_of_its_query(panel: Mapping[str, Any]) -> None:
    for target in panel["targets"]:
        if panel["type"] == "table":
            continue
        grouped = re.match(r"(?:histogram_quantile\([\d.]+, )?(?:sum|max) by \(([^)]*)\)", target["expr"])
        labels = set(grouped[1].split(", ")) - {"le"} if grouped else set()
        assert labels <= set(re.findall(r"{{(\w+)}}", target["legendFormat"])), target["expr"]


def test_panels_do_not_overlap() -> None:
    for board in dashboards().values():
        places = [panel["gridPos"] for panel in board["panels"]]
        cells = Counter(
            (x, y)
            for place in places
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        )
        assert 1 == max(cells.values())
        assert 24 > max(x for x, _ in cells)
        numbers = [panel["id"] for panel in board["panels"]]
        assert list(range(1, len(numbers) + 1)) == numbers


def test_the_first_screen_shows_whether_anything_is_wrong_and_where() -> None:
    (board,) = dashboards().values()
    first = [panel["title"] for panel in board["panels"] if panel["gridPos"]["y"] + panel["gridPos"]["h"] <= 14]
    titles = [
        "Replicas",
        "Kafka",
        "Streams by state",
        "Dead letters",
        "Missing records",
        "Streams, least healthy first",
    ]
    assert [board["panels"][0]["title"], *titles, "Alerts"] == first


def test_queries_use_the_variables_of_the_dashboard() -> None:
    (board,) = dashboards().values()
    names = {variable["name"] for variable in board["templating"]["list"]}
    assert {"datasource", "job", "instance", "source", "stream"} == names
    used = {name for query in panel_queries() for name in re.findall(r"\$(\w+)", query.expr)}
    assert {"job", "instance", "source", "stream"} == used - {"__range", "__rate_interval"}


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    (source,) = load(GRAFANA / "provisioning/datasources/prometheus.yml")["datasources"]
    (provider,) = load(GRAFANA / "provisioning/dashboards/collector.yml")["providers"]
    assert ("prometheus", "http://prometheus:9090") == (source["type"], source["url"])
    scrape = load(PROMETHEUS / "prometheus.yml")["global"]["scrape_interval"]
    assert scrape == source["jsonData"]["timeInterval"]
    assert "/var/lib/grafana/dashboards" == provider["options"]["path"]
