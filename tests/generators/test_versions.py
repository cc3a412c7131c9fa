"""The contract names the versions of the tools with which it is tested."""

import json
import re
from pathlib import Path

from tests.contracts.markdown import INTRODUCTION

HERE = Path(__file__).parent


def locked() -> dict[str, str]:
    """The versions of the tools, by name."""
    python = re.findall(r"^([\w-]+)==(.+)$", (HERE / "python" / "requirements.in").read_text("utf-8"), re.MULTILINE)
    go = re.findall(r"/(go-jsonschema) v(\S+)", (HERE / "go" / "go.mod").read_text("utf-8"))
    node = json.loads((HERE / "node" / "package.json").read_text("utf-8"))["devDependencies"]
    return {**dict(python), **dict(go), **node}


def test_the_table_of_generators_has_the_locked_versions() -> None:
    named = re.findall(r"`([@\w/-]+)` (\d+\.\d+\.\d+)", INTRODUCTION.read_text("utf-8"))

    assert locked() == dict(named)
