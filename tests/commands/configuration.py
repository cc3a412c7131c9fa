"""A minimal configuration, and its settings or problems."""

from pathlib import Path

import pytest

from collector.config import Settings, load
from collector.errors import InvalidConfiguration

KEY = "invented-key-42"
MALL = f'[sources.mall]\nvendor = "seemetrix"\nuser_id = 864\nuser_key = "{KEY}"\n'
SESSIONS = MALL + "[sources.mall.streams.sessions]\n"


def settings(folder: Path, text: str) -> Settings:
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return load(path)


def problems(folder: Path, text: str) -> dict[str, str]:
    """The codes of the problems of a configuration, by path."""
    with pytest.raises(InvalidConfiguration) as raised:
        settings(folder, text)
    found = raised.value.problems
    assert len(found) == len(str(raised.value).splitlines())
    jargon = ("timedelta", "Tuple", "Dictionary", "String should", "validation", "{got}")
    assert not [word for word in jargon if word in str(raised.value)]
    assert len(found) == len({problem.path for problem in found})
    return {problem.path: problem.code for problem in found}
