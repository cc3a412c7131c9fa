"""The configuration of a folder with `include = "sources.d/*.toml"`, as one file."""

import re
from pathlib import Path

INCLUDE = re.compile(r'^include = "sources\.d/\*\.toml".*\n', re.MULTILINE)


def merged(folder: Path) -> str:
    """Return config.toml without its include, and the files of the sources. Fails if nothing is included."""
    text, included = INCLUDE.subn("", (folder / "config.toml").read_text("utf-8"))
    assert 1 == included
    return "\n".join([text, *(path.read_text("utf-8") for path in sources(folder))])


def sources(folder: Path) -> list[Path]:
    """Return the files of the sources, in their order."""
    found = sorted((folder / "sources.d").glob("*.toml"))
    assert found
    return found


def secrets(folder: Path) -> list[str]:
    """Return the files of the secrets that the configuration names."""
    return re.findall(r'file = "(.*?)"', merged(folder))
