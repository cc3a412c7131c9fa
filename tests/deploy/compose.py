"""deploy/compose.yaml, as it is written."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.container.image import TREE

FILE = TREE / "deploy/compose.yaml"
OURS = ("simulator", "collector-1", "collector-2")


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))["services"]
    return found


def mounts(service: dict[str, Any]) -> dict[str, Path]:
    """What lies outside by the place inside at which it is seen."""
    found = (each.split(":") for each in service.get("volumes", []))
    return {inside: FILE.parent / outside for outside, inside, _ in found}


def image(instruction: str) -> Any:  # noqa: ANN401 - what JSON may hold
    """What an instruction of the Dockerfile gives to the image: a list in JSON, or a word."""
    text = (TREE / "Dockerfile").read_text("utf-8").rpartition("\nFROM ")[2]
    (found,) = re.findall(rf"^{instruction} (?:--.* CMD )?(.*)$", text, re.MULTILINE)
    return json.loads(found) if found.startswith("[") else found
