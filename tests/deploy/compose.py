"""Reads deploy/compose.yaml."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.container.image import TREE

FILE = TREE / "deploy/compose.yaml"
COLLECTOR_SERVICES = ("simulator", "collector-1", "collector-2")


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))["services"]
    return found


def mounts(service: dict[str, Any]) -> dict[str, Path]:
    """The host paths of a service's volumes, by the path in the container."""
    found = (volume.split(":") for volume in service.get("volumes", []))
    return {inside: FILE.parent / outside for outside, inside, _ in found}


def image(instruction: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value of an instruction of the Dockerfile's last stage: a list if it is JSON, else text."""
    text = (TREE / "Dockerfile").read_text("utf-8").rpartition("\nFROM ")[2]
    (found,) = re.findall(rf"^{instruction} (?:--.* CMD )?(.*)$", text, re.MULTILINE)
    return json.loads(found) if found.startswith("[") else found


def why_no_compose() -> str:
    """Return why `docker compose` cannot be used here; empty if it can."""
    try:
        done = subprocess.run(["docker", "compose", "version"], check=False, capture_output=True)
    except FileNotFoundError:
        return "no docker on the path"
    return "no docker compose" if done.returncode else ""
