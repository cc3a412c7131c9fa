"""docs/licenses.md lists the licence of each package in the image, and each is one that the project accepts."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
_LOCKED = re.findall(
    r"^([a-z0-9-]+)==\S+(?: ; (.*?))? \\$", (ROOT / "requirements/run.txt").read_text("utf-8"), re.MULTILINE
)
PACKAGES = sorted(name for name, marker in _LOCKED if not marker or Marker(marker).evaluate())
"""The locked packages of this platform and version of Python."""
LISTED = dict(
    re.findall(r"^\| ([a-z0-9-]+) \| ([^|]+) \|", (ROOT / "docs/licenses.md").read_text("utf-8"), re.MULTILINE)
)
ACCEPTED = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "PSF-2.0"}
"""Licences that allow a package to be used and distributed, unchanged, with a program under Apache-2.0."""
SPELLINGS = {
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "ISC License": "ISC",
    "MIT License": "MIT",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}
"""Names of licences in the metadata of packages that have no SPDX expression."""


def license_of(name: str) -> str:
    """The licence in the metadata of an installed package, as an SPDX expression where it is known."""
    fields = metadata.metadata(name)
    classifiers = [each for each in fields.get_all("Classifier") or () if each.startswith("License ::")]
    stated = fields["License-Expression"] or fields["License"] or " AND ".join(classifiers) or "none"
    return SPELLINGS.get(stated, stated)


def test_the_lock_is_read() -> None:
    assert {"aiohttp", "aiokafka", "orjson"} <= set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_the_licence_of_a_package_is_accepted_and_listed(name: str) -> None:
    found = license_of(name)
    unknown = set(re.split(r"[() ]+", found)) - ACCEPTED - {"AND", "OR", ""}
    assert not unknown, (
        f"{name} has the licence {found!r}: review it, then accept it in {Path(__file__).name}, or replace it"
    )
    assert found == LISTED.get(name), f"{name} has the licence {found}: write it to docs/licenses.md"


def test_only_locked_packages_are_listed() -> None:
    assert set(LISTED) - {"package"} == {name for name, _ in _LOCKED}
