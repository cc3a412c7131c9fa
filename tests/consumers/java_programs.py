"""The Java programs of docs/consumers/java, built and started with the commands of their page."""

import hashlib
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.docs.pages import DOCS, fenced
from tests.java import QUICK_START
from tests.kafka.daemon import WAIT_S

PROJECT = DOCS / "consumers" / "java"
SOURCES = PROJECT / "src"
BUILD, *COMMANDS = fenced((PROJECT / "README.md").read_text("utf-8"), "sh")
DOCUMENTED_JARS = "target/lib/*"
MEMBER_S = 3
"""After `kill -9`, the broker removes a member from its group after this time."""


def built() -> Path:
    """The folder of the jars: a cache outside the repository, filled once for each version of the POM and the code."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "collector-tests"
    files = [PROJECT / "pom.xml", *sorted(path for path in SOURCES.rglob("*") if path.is_file())]
    version = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:12]
    folder = cache / f"java-consumers-{version}"
    if not folder.exists():
        partial = cache / f"java-consumers-{version}.{os.getpid()}"
        shutil.copytree(SOURCES, partial / "src")
        shutil.copy(PROJECT / "pom.xml", partial)
        subprocess.run(shlex.split(BUILD), cwd=partial, check=True, timeout=600, stdout=subprocess.DEVNULL)
        try:
            (partial / "target" / "lib").rename(folder)
        except OSError:  # another test process has built it meanwhile
            assert folder.exists()
        shutil.rmtree(partial)
    return folder


def documented(text: str) -> list[str]:
    """Return the arguments of the command on the page that contains this text, from the class on."""
    (command,) = (each for each in COMMANDS if text in each)
    java, option, class_path, *arguments = shlex.split(command.replace("\\\n", ""))
    assert ["java", "-cp", DOCUMENTED_JARS] == [java, option, class_path]
    return arguments


def with_bug(file: str, text: str, replacement: str, class_path: str, home: Path) -> str:
    """Return a class path on which a part of the code of a file is replaced."""
    source = (SOURCES / "main" / "java" / "consumers" / file).read_text("utf-8")
    assert 1 == source.count(text)
    wrong, classes = home / file, home / "wrong-classes"
    wrong.write_text(source.replace(text, replacement), "utf-8")
    subprocess.run(["javac", "-cp", class_path, "-d", str(classes), str(wrong)], check=True, timeout=WAIT_S)
    return f"{classes}:{class_path}"


class JavaProgram:
    """One process, which can be killed and started again with the files that it has on disk.

    `arguments` are those of the page, from the class on. `options` follow, and replace equal ones.
    """

    def __init__(self, class_path: str, arguments: Sequence[str], home: Path, options: Mapping[str, str]) -> None:
        settings = home / "client.properties"
        settings.write_text(f"session.timeout.ms={MEMBER_S * 1000}\nheartbeat.interval.ms=500\n", "utf-8")
        memory = ["-Xmx256m", "-XX:+UseSerialGC", *QUICK_START]
        given = {**options, "client-config": str(settings)}
        words = [word for name, value in given.items() for word in (f"--{name}", value)]
        self._command = ["java", *memory, "-cp", class_path, *arguments, *words]
        self._home, name = home, arguments[0].rpartition(".")[2]
        self._output = home / f"{name}.out"
        self.log = home / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, with the output of earlier processes kept."""
        with self._output.open("ab") as output, self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=log, cwd=self._home)

    def kill(self) -> None:
        """End it with SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Stop it with SIGTERM. Java's exit code is then 128 + 15, also when it has ended in order."""
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text("utf-8")[-2000:]
        self._process.terminate()
        assert 128 + signal.SIGTERM == self._process.wait(WAIT_S)

    def printed(self) -> list[str]:
        return self._output.read_text("utf-8").splitlines()
