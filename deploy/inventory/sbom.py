"""The software bill of materials (SBOM) of an environment, as CycloneDX 1.6 in JSON."""

from collections.abc import Iterator, Mapping, Sequence

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseAcknowledgement
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from deploy.inventory.packages import Package


def sbom(project: str, packages: Sequence[Package], sha256: Mapping[str, str]) -> str:
    """Return the SBOM of `project`, which is one of the packages. `sha256` has the hash of each wheel by package.

    Equal packages give equal text: it has no serial number and no time. Raises `KeyError` if a hash is missing.
    """
    components = {package.name: _component(project, package, sha256[package.name]) for package in packages}
    bom = Bom(components=(each for name, each in components.items() if name != project))
    bom.serial_number = None  # type: ignore[assignment] # optional in the schema
    bom.metadata.timestamp = None  # type: ignore[assignment] # optional in the schema
    bom.metadata.component = components[project]
    needed = dependencies(project, packages)
    for name, component in components.items():
        bom.register_dependency(component, [components[each] for each in sorted(needed.get(name, ()))])
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


def dependencies(project: str, packages: Sequence[Package]) -> dict[str, set[str]]:
    """Return the names of the packages that each package requires, from the project on, with the extras in use."""
    by_name = {package.name: package for package in packages}
    needed: dict[str, set[str]] = {}
    seen, pending = set(), [(project, "")]
    while pending:
        name, extra = pending.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for required, extras in _requirements(by_name[name], extra):
            needed.setdefault(name, set()).add(required)
            pending += [(required, each) for each in ("", *extras)]
    return needed


def _requirements(package: Package, extra: str) -> Iterator[tuple[str, set[str]]]:
    """Yield name and extras of each requirement of a package on this platform."""
    for each in package.requires:
        if each.marker is None or each.marker.evaluate({"extra": extra}):
            yield canonicalize_name(each.name), each.extras


def _component(project: str, package: Package, sha256: str) -> Component:
    """Return the component of a package. The package URL of the project is `generic`, because no index has it."""
    is_project = package.name == project
    declared = LicenseAcknowledgement.DECLARED
    return Component(
        bom_ref=f"{package.name}=={package.version}",
        type=ComponentType.APPLICATION if is_project else ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        purl=PackageURL("generic" if is_project else "pypi", name=package.name, version=package.version),
        licenses=[LicenseFactory().make_from_string(package.license, license_acknowledgement=declared)],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
    )
