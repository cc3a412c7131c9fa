"""Reads the committed definitions for Grafana and Prometheus."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
GRAFANA = ROOT / "deploy/grafana"
SCENARIOS = sorted(Path(__file__).with_name("promtool").glob("*.yml"))
OPERATIONS = ROOT / "docs/operations.md"

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_METRIC = re.compile(r"\b(?:(?:collector|process|python)_|collector:)[\w:]+|\bup\b|\bALERTS\w*")


class Query(Struct, frozen=True):
    """A query, and the panel or rule that contains it."""

    name: str
    expr: str

    @property
    def metrics(self) -> set[str]:
        return set(_METRIC.findall(_STRING.sub("", self.expr)))


def load(path: Path) -> Any:  # noqa: ANN401 - YAML
    return yaml.safe_load(path.read_text("utf-8"))


def rules() -> list[Mapping[str, Any]]:
    files = (PROMETHEUS / "rules.yml", PROMETHEUS / "alerts.yml")
    return [rule for path in files for group in load(path)["groups"] for rule in group["rules"]]


def alerts() -> dict[str, Mapping[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def rule_queries() -> list[Query]:
    return [Query(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]


def dashboards() -> dict[Path, Any]:
    return {path: json.loads(path.read_text("utf-8")) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}


def panels() -> Iterator[Mapping[str, Any]]:
    """All panels except the titles of rows."""
    for board in dashboards().values():
        for panel in board["panels"]:
            if panel["type"] != "row":
                yield panel


def panel_queries() -> list[Query]:
    """The queries of all panels and annotations, each once."""
    found = [
        Query(f"{panel['title']} {target['refId']}", target["expr"])
        for panel in panels()
        for target in panel["targets"]
    ]
    marked = [
        Query(each["name"], each["expr"]) for board in dashboards().values() for each in board["annotations"]["list"]
    ]
    return list({query.expr: query for query in [*found, *marked]}.values())


def variables() -> Iterator[tuple[str, str]]:
    """The names and the queries of the variables of all dashboards."""
    for board in dashboards().values():
        for each in board["templating"]["list"]:
            if each["type"] == "query":
                yield each["name"], each["query"]


def links() -> Iterator[str]:
    """The URLs of all links, without those that Grafana makes itself."""
    for board in dashboards().values():
        yield from (each["url"] for each in board["links"] if each["type"] == "link")
    for panel in panels():
        for override in panel["fieldConfig"]["overrides"]:
            yield from (
                link["url"] for each in override["properties"] if each["id"] == "links" for link in each["value"]
            )
