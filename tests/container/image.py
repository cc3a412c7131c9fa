"""The image, built for real without an engine, and its processes."""

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
ENDS_S = 60


class Image(Struct, frozen=True):
    """Its root, and what it says of how it is run."""

    root: Path
    config: dict[str, Any]

    @contextmanager
    def process(
        self, command: list[str], mounts: Mapping[str, Path] | None = None, **environment: str
    ) -> Iterator["Process"]:
        """A container's only process until the end of the block, as an engine would run it with `--read-only`."""
        told = {
            "root": str(self.root),
            "command": command,
            "environment": dict(each.split("=", 1) for each in self.config["Env"]) | environment,
            "user": self.config["User"],
            "home": self.config["WorkingDir"],
            "mounts": {inside: str(outside) for inside, outside in (mounts or {}).items()},
        }
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        with subprocess.Popen(
            [*unshare, sys.executable, contained.__file__, json.dumps(told)],
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
        """Exit code and output of `docker run IMAGE ARGUMENTS`; without arguments, with those of the image."""
        command = [*self.config["Entrypoint"], *(arguments or self.config["Cmd"])]
        with self.process(command, mounts, **environment) as process:
            return process.ended()


class Process:
    """The first process of a process namespace: nothing but its handlers keeps a signal from being lost."""

    def __init__(self, outer: "subprocess.Popen[str]") -> None:
        self._outer = outer

    @property
    def status(self) -> dict[str, str]:
        """What the kernel knows of it; empty before it is there."""
        try:
            lines = Path(f"/proc/{self._pid()}/status").read_text("utf-8").splitlines()
        except OSError:
            return {}
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def handles(self, number: int) -> bool:
        """Whether it asked for the signal."""
        return bool(int(self.status.get("SigCgt", "0"), 16) >> (number - 1) & 1)

    def terminate(self) -> None:
        os.kill(self._pid(), signal.SIGTERM)

    def ended(self) -> tuple[int, str]:
        """Exit code and output, when it has ended."""
        output, _ = self._outer.communicate(timeout=ENDS_S)
        return self._outer.returncode, output

    def _pid(self) -> int:
        """Seen from here, where it is not the first."""
        outer = self._outer.pid
        return int(Path(f"/proc/{outer}/task/{outer}/children").read_text("utf-8") or 0)


@contextmanager
def built(home: Path) -> Iterator[Image]:
    """Built of the tree as it is, and gone at the end of the block."""
    buildah = _Buildah(home)
    try:
        empty = buildah("from", "scratch")
        buildah("add", "--quiet", empty, str(base.tarball()), "/")
        buildah("commit", "--quiet", "--rm", "--format", "docker", empty, BASE)
        arguments = {"BASE": BASE, **BUILD_ARGS}
        given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
        buildah("build", "--isolation", "chroot", "--format", "docker", *given, *_pip(home), "--tag", NAME, str(TREE))
        told = json.loads(buildah("inspect", "--type", "image", NAME))
        yield Image(Path(buildah("mount", buildah("from", NAME))), told["Docker"]["config"])
    finally:
        buildah("rm", "--all")
        buildah("rmi", "--all", "--force")


class _Buildah:
    """With images of its own."""

    def __init__(self, home: Path) -> None:
        folders = ["--root", str(home / "images"), "--runroot", str(home / "running")]
        self._command = ["buildah", *folders, "--storage-driver", "vfs"]

    def __call__(self, *arguments: str) -> str:
        """What it printed."""
        command = [*self._command, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise RuntimeError(f"buildah {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout.strip()


def _pip(home: Path) -> Iterator[str]:
    """What lets pip inside reach what pip here reaches: this machine's configuration, and the files that it names."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    keys = dict(line.partition("=")[::2] for line in lines)
    values = {key.rpartition(".")[2]: str(ast.literal_eval(value)) for key, value in sorted(keys.items(), reverse=True)}
    own = home / "pip.conf"
    own.write_text("\n".join(["[global]", *(f"{key} = {value}" for key, value in values.items())]), "utf-8")
    yield from ("--volume", f"{own}:/etc/pip.conf:ro")
    for path in {value for value in values.values() if Path(value).is_absolute() and Path(value).exists()}:
        yield from ("--volume", f"{path}:{path}:ro")
