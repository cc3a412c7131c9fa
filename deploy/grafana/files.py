"""The dashboards as JSON files, generated from the code."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.operators import operators

DASHBOARDS = Path(__file__).with_name("dashboards")


def dashboard_files() -> dict[Path, str]:
    """The content of each file, by path."""
    return {DASHBOARDS / "operators.json": json.dumps(operators(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"}
