"""Checks the SBOM and the notices of an environment against the lock."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from collector import __version__
from tests.deploy.run_lock import Locked

SBOM, NOTICES = "sbom.cdx.json", "THIRD-PARTY-NOTICES.txt"


def check(folder: Path, expected: Iterable[Locked]) -> None:
    """Assert that the files in a folder describe the collector and exactly the expected packages."""
    packages = {each.name: each for each in expected}
    _check_sbom((folder / SBOM).read_text("utf-8"), packages)
    _check_notices((folder / NOTICES).read_text("utf-8"), packages)


def reached(sbom: dict[str, Any]) -> set[str]:
    """Return the references of all components that the project requires, directly or not."""
    requires = {each["ref"]: each.get("dependsOn", []) for each in sbom["dependencies"]}
    found, pending = set(), [sbom["metadata"]["component"]["bom-ref"]]
    while pending:
        reference = pending.pop()
        pending += [each for each in requires[reference] if each not in found]
        found.add(reference)
    return found


def _check_sbom(text: str, packages: dict[str, Locked]) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    sbom = json.loads(text)
    project, components = sbom["metadata"]["component"], sbom["components"]
    assert ("collector", __version__) == (project["name"], project["version"])
    assert {each.name: each.version for each in packages.values()} == {
        each["name"]: each["version"] for each in components
    }
    for each in components:
        assert f"pkg:pypi/{each['name']}@{each['version']}" == each["purl"]
        assert each["licenses"]
        (sha256,) = each["hashes"]
        assert sha256["content"] in packages[each["name"]].sha256
    assert {each["bom-ref"] for each in (project, *components)} == reached(sbom)
    assert "://" not in json.dumps({name: value for name, value in sbom.items() if name != "$schema"})
    assert not {"serialNumber", "timestamp"} & (sbom.keys() | sbom["metadata"].keys())


def _check_notices(text: str, packages: dict[str, Locked]) -> None:
    notices = re.findall(r"^={80}\n(\S+) (\S+)\nLicence: (.+)\n-{80}\n(\S+)\n\n.", text, re.MULTILINE)
    assert {(each.name, each.version) for each in packages.values()} == {notice[:2] for notice in notices}
    assert len(notices) == len(packages)
