"""The packages that are installed in an environment, from the metadata of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_SPELLINGS = {
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "ISC License": "ISC",
    "MIT License": "MIT",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}
"""Names of licences in the metadata of packages that have no SPDX expression."""
_TEXTS = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS")
"""How the names of licence files begin that older build tools place beside the metadata."""


@dataclass(frozen=True)  # not a Struct: the image's build does not install msgspec
class Package:
    """An installed package. `texts` are its licence files by their path."""

    name: str
    version: str
    license: str
    requires: tuple[Requirement, ...]
    texts: dict[str, str]


def installed(site_packages: Path) -> list[Package]:
    """Return the packages in a directory, sorted by name. Their names are normalized."""
    found = map(_package, metadata.distributions(path=[str(site_packages)]))
    return sorted(found, key=lambda package: package.name)


def license_of(fields: metadata.PackageMetadata) -> str:
    """Return the licence in the metadata of a package, as an SPDX expression where it is known."""
    classifiers = [each for each in fields.get_all("Classifier", []) if each.startswith("License ::")]
    stated: str
    stated, *_ = (
        *fields.get_all("License-Expression", []),
        *fields.get_all("License", []),
        " AND ".join(classifiers) or "none",
    )
    return _SPELLINGS.get(stated, stated)


def _package(distribution: metadata.Distribution) -> Package:
    return Package(
        canonicalize_name(distribution.name),
        distribution.version,
        license_of(distribution.metadata),
        tuple(map(Requirement, distribution.requires or ())),
        dict(sorted(_texts(distribution))),
    )


def _texts(distribution: metadata.Distribution) -> Iterator[tuple[str, str]]:
    """Yield path and content of each licence file. PEP 639 places them in `licenses` beside the metadata."""
    for path in distribution.files or ():
        folder, *rest = path.parts
        if folder.endswith(".dist-info") and (rest[0] == "licenses" or rest[0].upper().startswith(_TEXTS)):
            yield "/".join(rest).removeprefix("licenses/"), path.read_text("utf-8")
