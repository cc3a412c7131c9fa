"""The dashboards as they are committed: JSON, made of the code."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.operators import operators

DASHBOARDS = Path(__file__).with_name("dashboards")


def files() -> dict[Path, str]:
    """What each file must hold."""
    return {DASHBOARDS / "operators.json": json.dumps(operators(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"}
