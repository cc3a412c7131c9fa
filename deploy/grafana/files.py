"""The dashboards as JSON files, generated from the code."""

import json
from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.annotations import annotations, as_json
from deploy.grafana.audience import audience
from deploy.grafana.operators import operators
from deploy.grafana.source import source_board

DASHBOARDS = Path(__file__).with_name("dashboards")
OF_SOURCE = ', source=~"$source|"'
"""The alerts of the chosen sources, and those that are of none."""


def dashboard_files() -> Mapping[Path, str]:
    """The content of each file, by path."""
    return {
        DASHBOARDS / "operators.json": _text(operators(), ""),
        DASHBOARDS / "source.json": _text(source_board(), OF_SOURCE),
        DASHBOARDS / "audience.json": _text(audience(), OF_SOURCE),
    }


def _text(built: Dashboard, alerts: str) -> str:
    document = json.loads(json.dumps(built, cls=JSONEncoder))
    document["annotations"] = {"list": [as_json(each) for each in annotations(alerts)]}
    return json.dumps(document, indent=2, sort_keys=True) + "\n"
