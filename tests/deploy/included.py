"""The examples of configurations with one file for each source: config.toml, and sources.d beside it."""

import re
from pathlib import Path

from collector.config import load


def sources(folder: Path) -> list[Path]:
    """Return the files of the sources. Fails unless config.toml includes exactly these."""
    found = sorted((folder / "sources.d").glob("*.toml"))
    assert {path.stem for path in found} == load(folder / "config.toml").sources.keys()
    return found


def secrets(folder: Path) -> list[str]:
    """Return the files of the secrets that the configuration names."""
    return [name for path in sources(folder) for name in re.findall(r'file = "(.*?)"', path.read_text("utf-8"))]
