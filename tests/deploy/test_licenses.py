"""docs/licenses.md lists the licence of each package in the image, and each is one that the project accepts."""

import re
from importlib import metadata
from pathlib import Path

import pytest

from deploy.inventory.packages import license_of
from tests.deploy.run_lock import LOCKED, locked_for

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(each.name for each in locked_for())
LISTED = dict(
    re.findall(r"^\| ([a-z0-9-]+) \| ([^|]+) \|", (ROOT / "docs/licenses.md").read_text("utf-8"), re.MULTILINE)
)
ACCEPTED = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "PSF-2.0"}
"""Licences that allow a package to be used and distributed, unchanged, with a program under Apache-2.0."""


def test_the_lock_is_read() -> None:
    assert {"aiohttp", "aiokafka", "orjson"} <= set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_the_licence_of_a_package_is_accepted_and_listed(name: str) -> None:
    found = license_of(metadata.metadata(name))
    unknown = set(re.split(r"[() ]+", found)) - ACCEPTED - {"AND", "OR", ""}
    assert not unknown, (
        f"{name} has the licence {found!r}: review it, then accept it in {Path(__file__).name}, or replace it"
    )
    assert found == LISTED.get(name), f"{name} has the licence {found}: write it to docs/licenses.md"


def test_only_locked_packages_are_listed() -> None:
    assert set(LISTED) - {"package"} == {each.name for each in LOCKED}
