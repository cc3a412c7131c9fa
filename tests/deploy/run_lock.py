"""The packages of requirements/run.txt."""

import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from packaging.markers import Marker


class Locked(Struct, frozen=True):
    """A locked package, with the hashes of its files."""

    name: str
    version: str
    marker: str
    sha256: frozenset[str]


def _locked(text: str) -> list[Locked]:
    found = re.findall(r"^([a-z0-9-]+)==(\S+)(?: ; (.*?))? \\\n((?: +--hash=sha256:.*\n)+)", text, re.MULTILINE)
    return [
        Locked(name, version, marker, frozenset(re.findall("sha256:([0-9a-f]{64})", hashes)))
        for name, version, marker, hashes in found
    ]


LOCKED = _locked((Path(__file__).parents[2] / "requirements/run.txt").read_text("utf-8"))


def locked_for(environment: Mapping[str, str] | None = None) -> list[Locked]:
    """Return the packages that are installed on this platform. `environment` replaces variables of the markers."""
    variables = dict(environment or {})
    return [each for each in LOCKED if not each.marker or Marker(each.marker).evaluate(variables)]
