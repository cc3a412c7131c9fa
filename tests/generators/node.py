"""Programs for Node that use the locked packages of tests/generators/node."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.consumers import environments

_HERE = Path(__file__).parent


def prepare(folder: Path) -> None:
    """Make the packages available to programs in the folder."""
    packages = environments.npm_ci(_HERE / "node", environments.with_node(environments.node()))
    (folder / "node_modules").symlink_to(packages / "node_modules")


def run(folder: Path, program: str, *arguments: str | Path) -> str:
    """Run a program of tests/generators/programs in a folder that is prepared, and return its output."""
    shutil.copy(_HERE / "programs" / program, folder)
    done = execute(folder, str(folder / program), *arguments)
    assert 0 == done.returncode, done.stderr[-2000:]
    return done.stdout


def execute(folder: Path, script: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a script, and return how it ended."""
    command = [str(environments.node()), script, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def write_json(path: Path, content: Any) -> Path:  # noqa: ANN401 - JSON
    path.write_text(json.dumps(content), "utf-8")
    return path
