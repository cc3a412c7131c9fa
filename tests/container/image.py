"""Builds the image without a container engine, and runs processes in it."""

import ast
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.container import base, contained

TREE = Path(__file__).parents[2]
BASE, NAME = "localhost/stand-in", "localhost/collector"
BUILD_ARGS = {"VERSION": "1.2.3", "REVISION": "c0ffee", "SOURCE": "https://source.example/collector"}
END_TIMEOUT_S = 60


class Image(Struct, frozen=True):
    """Root file system and configuration of the image."""

    root: Path
    config: dict[str, Any]

    @contextmanager
    def process(
        self, command: list[str], mounts: Mapping[str, Path] | None = None, **environment: str
    ) -> Iterator["Process"]:
        """Run a command as a container's only process until the end of the block, as `docker run --read-only` does."""
        arguments = {
            "root": str(self.root),
            "command": command,
            "environment": dict(each.split("=", 1) for each in self.config["Env"]) | environment,
            "user": self.config["User"],
            "home": self.config["WorkingDir"],
            "mounts": {inside: str(outside) for inside, outside in (mounts or {}).items()},
        }
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        with subprocess.Popen(
            [*unshare, sys.executable, contained.__file__, json.dumps(arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as outer:
            try:
                yield Process(outer)
            finally:
                outer.kill()

    def run(self, *arguments: str, mounts: Mapping[str, Path] | None = None, **environment: str) -> tuple[int, str]:
        """Return exit code and output of `docker run IMAGE ARGUMENTS`. Without arguments, the image's own are used."""
        command = [*self.config["Entrypoint"], *(arguments or self.config["Cmd"])]
        with self.process(command, mounts, **environment) as process:
            return process.ended()


class Process:
    """The first process of a process namespace: the kernel drops signals that it has no handler for."""

    def __init__(self, outer: "subprocess.Popen[str]") -> None:
        self._outer = outer

    @property
    def status(self) -> dict[str, str]:
        """The kernel's status of the process; empty before it exists."""
        try:
            lines = Path(f"/proc/{self._pid()}/status").read_text("utf-8").splitlines()
        except OSError:
            return {}
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def handles(self, number: int) -> bool:
        """Return whether the process has a handler for the signal."""
        return bool(int(self.status.get("SigCgt", "0"), 16) >> (number - 1) & 1)

    def terminate(self) -> None:
        os.kill(self._pid(), signal.SIGTERM)

    def ended(self) -> tuple[int, str]:
        """Wait for the process to end, and return its exit code and output."""
        output, _ = self._outer.communicate(timeout=END_TIMEOUT_S)
        return self._outer.returncode, output

    def _pid(self) -> int:
        """Return its process id outside of the namespace."""
        outer = self._outer.pid
        return int(Path(f"/proc/{outer}/task/{outer}/children").read_text("utf-8") or 0)


@contextmanager
def built(home: Path) -> Iterator[Image]:
    """Build the image from the checkout, and delete it at the end of the block."""
    buildah = _Buildah(home)
    try:
        empty = buildah("from", "scratch")
        buildah("add", "--quiet", empty, str(base.tarball()), "/")
        buildah("commit", "--quiet", "--rm", "--format", "docker", empty, BASE)
        arguments = {"BASE": BASE, **BUILD_ARGS}
        build_args = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
        buildah(
            "build", "--isolation", "chroot", "--format", "docker", *build_args, *_pip(home), "--tag", NAME, str(TREE)
        )
        inspected = json.loads(buildah("inspect", "--type", "image", NAME))
        yield Image(Path(buildah("mount", buildah("from", NAME))), inspected["Docker"]["config"])
    finally:
        buildah("rm", "--all")
        buildah("rmi", "--all", "--force")


class _Buildah:
    """Runs buildah with its own image store."""

    def __init__(self, home: Path) -> None:
        folders = ["--root", str(home / "images"), "--runroot", str(home / "running")]
        self._command = ["buildah", *folders, "--storage-driver", "vfs"]

    def __call__(self, *arguments: str) -> str:
        """Run a subcommand and return its output."""
        command = [*self._command, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise RuntimeError(f"buildah {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout.strip()


def _pip(home: Path) -> Iterator[str]:
    """Yield options that give pip in the build this machine's pip configuration, and the files that it names."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    keys = dict(line.partition("=")[::2] for line in lines)
    values = {key.rpartition(".")[2]: str(ast.literal_eval(value)) for key, value in sorted(keys.items(), reverse=True)}
    own = home / "pip.conf"
    own.write_text("\n".join(["[global]", *(f"{key} = {value}" for key, value in values.items())]), "utf-8")
    yield from ("--volume", f"{own}:/etc/pip.conf:ro")
    for path in {value for value in values.values() if Path(value).is_absolute() and Path(value).exists()}:
        yield from ("--volume", f"{path}:{path}:ro")
