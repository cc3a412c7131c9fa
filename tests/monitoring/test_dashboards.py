"""The Grafana dashboards: up to date, readable, and based on metrics that exist."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamState
from collector.vendors import VENDORS
from deploy.grafana.files import DASHBOARDS, dashboard_files
from deploy.grafana.states import STATES
from tests.monitoring.definitions import (
    GRAFANA,
    OPERATIONS,
    PROMETHEUS,
    Query,
    alerts,
    dashboards,
    links,
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


def test_every_state_has_a_colour() -> None:
    assert set(get_args(StreamState)) <= STATES.keys()


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
        grouped = re.match(r"(?:histogram_quantile\([\d.]+, )?(?:sum|max|min) by \(([^)]*)\)", target["expr"])
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


def board(name: str) -> Mapping[str, Any]:
    return next(each for path, each in dashboards().items() if path.stem == name)


def test_the_first_screen_shows_whether_anything_is_wrong_and_where() -> None:
    first = [each for each in board("operators")["panels"] if each["gridPos"]["y"] + each["gridPos"]["h"] <= 14]
    titles = [
        "Is anything wrong, and where?",
        "Replicas",
        "Kafka",
        "Streams by state",
        "Fresh",
        "Dead letters",
        "Missing records",
        "Streams, least healthy first",
        "Alerts",
    ]
    assert titles == [each["title"] for each in first]


VARIABLES = {
    "operators": {"datasource", "job", "runbooks", "instance", "source", "stream"},
    "source": {"datasource", "job", "runbooks", "source", "stream", "instance"},
    "audience": {"datasource", "job", "runbooks", "source", "stream"},
}


@pytest.mark.parametrize("name", VARIABLES)
def test_queries_and_links_use_the_variables_of_their_dashboard(name: str) -> None:
    found = {each["name"] for each in board(name)["templating"]["list"]}
    assert VARIABLES[name] == found
    text = json.dumps(board(name))
    used = set(re.findall(r"\$\{?(\w+)", text)) - {"__all", "__range", "__rate_interval", "__value", "__url_time_range"}
    assert found == used


def test_the_dashboards_are_linked_with_each_other() -> None:
    for each in dashboards().values():
        (link,) = (link for link in each["links"] if link["type"] == "dashboards")
        assert (link["tags"], link["includeVars"], link["keepTime"]) == (each["tags"], True, True)


def test_every_link_leads_to_a_dashboard_a_runbook_or_the_status_page_of_a_replica() -> None:
    places = {f"/d/{each['uid']}?" for each in dashboards().values()}
    starts = (*places, "${runbooks}#", "http://${instance}/", "http://${__value.raw}/")
    found = set(links())
    assert found
    assert [] == [url for url in found if not url.startswith(starts)]
    assert {start for start in starts if any(url.startswith(start) for url in found)} >= {
        "/d/collector-source?",
        *starts[-3:],
    }


def test_the_alerts_of_a_dashboard_have_anchors_in_the_runbooks() -> None:
    """A dashboard knows the name of an alert, and cannot write it in lower case."""
    text = OPERATIONS.read_text("utf-8")
    assert [] == [name for name in alerts() if f'<a id="{name}"></a>' not in text]


def test_limits_are_dashed_lines() -> None:
    dashed = {"fill": "dash", "dash": [8, 6]}
    for panel in panels():
        if not any(target.get("legendFormat", "").endswith(" limit") for target in panel["targets"]):
            continue
        (style,) = (
            each["properties"] for each in panel["fieldConfig"]["overrides"] if "limit" in each["matcher"]["options"]
        )
        assert {"id": "custom.lineStyle", "value": dashed} in style


def test_restarts_rebalances_deploys_and_alerts_are_annotated() -> None:
    for each in dashboards().values():
        found = each["annotations"]["list"]
        assert ["Restarts", "Rebalances", "Deploys", "Firing alerts"] == [annotation["name"] for annotation in found]
        assert all(annotation["enable"] and annotation["titleFormat"] for annotation in found)


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    (source,) = load(GRAFANA / "provisioning/datasources/prometheus.yml")["datasources"]
    (provider,) = load(GRAFANA / "provisioning/dashboards/collector.yml")["providers"]
    assert ("prometheus", "http://prometheus:9090") == (source["type"], source["url"])
    scrape = load(PROMETHEUS / "prometheus.yml")["global"]["scrape_interval"]
    assert scrape == source["jsonData"]["timeInterval"]
    assert "/var/lib/grafana/dashboards" == provider["options"]["path"]
