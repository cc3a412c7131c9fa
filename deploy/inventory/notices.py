"""The licences of the packages in an environment, as one text."""

from collections.abc import Iterable, Iterator

from deploy.inventory.packages import Package

_RULE = "=" * 80
_THIN_RULE = "-" * 80


def notices(project: str, packages: Iterable[Package]) -> str:
    """Return name, version, licence and licence files of each package except the project itself."""
    lines = [f"{project} is distributed with these packages. Each is under its own licence."]
    for package in packages:
        if package.name != project:
            lines += _notice(package)
    return "\n".join(lines) + "\n"


def _notice(package: Package) -> Iterator[str]:
    yield from ("", _RULE, f"{package.name} {package.version}", f"Licence: {package.license}")
    if not package.texts:
        yield "The package contains no text of its licence."
    for path, text in package.texts.items():
        yield from (_THIN_RULE, path, "", text.strip("\n"))
