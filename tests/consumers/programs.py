"""The programs of docs/consumers that store events in SQLite, as processes in their environments."""

import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path

import anyio
from msgspec import Struct

from tests.consumers import environments
from tests.consumers.environments import PROGRAMS
from tests.kafka.daemon import WAIT_S

EVENT_IDS = "SELECT event_id FROM events"
PART_IDS = "SELECT event_id FROM parts"


class Program(Struct, frozen=True):
    """A program to copy, and which of its lines the tests replace."""

    name: str
    path: Path
    interpreter: Callable[[], Path]
    commit: str
    """The line that commits offsets."""
    end: str
    """A line that ends the program."""
    isolation: tuple[str, str]
    """The isolation level, and a wrong one."""

    def in_folder(self, folder: Path, text: str = "", replacement: str = "") -> Sequence[str]:
        """Return the command of a copy of the program in a folder, with a part of its code replaced."""
        source = self.path.read_text("utf-8")
        assert not text or 1 == source.count(text)
        copy = folder / self.path.name
        copy.write_text(source.replace(text, replacement) if text else source, "utf-8")
        if copy.suffix == ".js":
            (folder / "package.json").write_text((self.path.parent / "package.json").read_text("utf-8"), "utf-8")
            if not (folder / "node_modules").exists():
                (folder / "node_modules").symlink_to(environments.node_modules())
        return [str(self.interpreter()), str(copy)]


_PYTHON = PROGRAMS / "python_aiokafka.py"
PYTHON = Program(
    "python",
    _PYTHON,
    lambda: environments.python_for(_PYTHON),
    commit="await consumer.commit()",
    end="raise KeyboardInterrupt",
    isolation=('"read_committed",', '"read_uncommitted",'),
)
NODE = Program(
    "node",
    PROGRAMS / "node" / "consumer.js",
    environments.node,
    commit="await consumer.commitMessage(message, 'Sync')",
    end="isStopping = true",
    isolation=("'read_committed',", "'read_uncommitted',"),
)


class Run(Struct, frozen=True):
    """What a program consumes, and where it stores it."""

    kafka: str
    topics: Sequence[str]
    group: str
    database: Path

    @property
    def arguments(self) -> Sequence[str]:
        group = f"{self.topics[0]}-{self.database.parent.name}-{self.group}"  # tests share the topics
        return ["--kafka", self.kafka, "--group", group, "--database", str(self.database), *self.topics]


def start(command: Sequence[str], stdout: Path, stderr: Path | None = None) -> "subprocess.Popen[bytes]":
    """Start a process that writes to these files."""
    with ExitStack() as files:
        out = files.enter_context(stdout.open("w"))
        err = files.enter_context(stderr.open("w")) if stderr else None
        return subprocess.Popen(command, stdout=out, stderr=err)


@asynccontextmanager
async def running(command: Sequence[str], run: Run, instance: int = 0) -> AsyncIterator[Path]:
    """Run a program until Ctrl-C at the end of the block. Yields the file with its output."""
    output = run.database.with_name(f"{run.group}-{instance}.txt")
    process = start([*command, *run.arguments], stdout=output)
    try:
        yield output
        process.send_signal(signal.SIGINT)
        assert 0 == await anyio.to_thread.run_sync(process.wait, WAIT_S)
    finally:
        process.kill()
        process.wait()


def count_printed(output: Path) -> int:
    """Return how many events the program has stored according to its output."""
    return sum(int(line.split(maxsplit=1)[0]) for line in output.read_text("utf-8").splitlines())


def stored(database: Path, query: str) -> Counter[str]:
    """Count the stored ids; none while the table does not exist or is locked."""
    with closing(sqlite3.connect(database)) as connection:
        try:
            return Counter(name for (name,) in connection.execute(query))
        except sqlite3.OperationalError:
            return Counter()
