"""A real PostgreSQL, in a folder of its own and on a socket in it, in which tests execute what is printed."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collector.commands.arguments import Engine
from collector.commands.sql import sql
from collector.commands.sql_types import table
from collector.model import EventType
from tests.sql.engines import Value, write_lines

UNPRIVILEGED = "nobody"
"""The user as whom the server runs if the tests run as root, as whom it refuses to run."""


def binaries() -> Path | None:
    """The folder of the server's programs, which Debian does not put on the PATH; None if there is none."""
    found = [Path(path).parent for name in ("initdb",) if (path := shutil.which(name))]
    folders = [*found, *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    return next((folder for folder in folders if (folder / "pg_ctl").exists() and (folder / "initdb").exists()), None)


def missing() -> str:
    """Why PostgreSQL cannot be started, as the reason for `need`; empty when it can."""
    return "" if binaries() and shutil.which("psql") else "no initdb, pg_ctl and psql"


class Postgres:
    """A database whose tables are made and loaded as printed, with psql."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self._folder = folder
        self._psql = [
            "psql",
            "-X",
            "-q",
            "-h",
            str(socket),
            "-U",
            "postgres",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            "postgres",
        ]

    def load(self, event_type: EventType, values: Iterable[Value]) -> None:
        path = self._folder / f"{event_type.topic}.jsonl"
        write_lines(path, values)
        lines = sql(event_type.name, Engine.POSTGRES).splitlines()
        copy = next(line.removeprefix("--   ") for line in lines if "\\copy" in line)
        create = next(line for line in lines if line.startswith("CREATE TEMPORARY TABLE"))
        script = [create, copy.replace(f"'{path.name}'", f"'{path}'"), *lines]
        self._run("\n".join(script))

    def rows(self, query: str) -> list[dict[str, Any]]:
        result = self._run(f"SELECT row_to_json(result) FROM ({query}) AS result;", "-A", "-t")  # noqa: S608 - of tests
        found = [json.loads(line) for line in result.splitlines()]
        return [{name: _time(value) for name, value in row.items()} for row in found]

    def newest(self, event_type: EventType) -> str:
        return table(event_type, Engine.POSTGRES).name

    def number(self, path: str) -> str:
        column, _, field = path.partition(".")
        return f"CAST({column} ->> '{field}' AS double precision)" if field else column

    def clear(self) -> None:
        self._run("SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public;")

    def _run(self, script: str, *options: str) -> str:
        command = [*self._psql, *options]
        environment = os.environ | {"PGTZ": "UTC", "PGOPTIONS": "-c client_min_messages=warning"}
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False, env=environment)
        assert 0 == done.returncode, done.stderr
        return done.stdout


def _time(value: object) -> object:
    """A time as events have it: PostgreSQL leaves out trailing zeros and writes the offset."""
    if not isinstance(value, str) or not value.endswith("+00:00"):
        return value
    time, _, fraction = value.removesuffix("+00:00").partition(".")
    return f"{time}.{fraction.ljust(3, '0')}Z"


@contextmanager
def postgres_database(folder: Path) -> Iterator[Postgres]:
    programs = binaries()
    assert programs
    with tempfile.TemporaryDirectory(prefix="postgres-") as place:  # short: the path of a socket is limited
        user = UNPRIVILEGED if os.geteuid() == 0 else None
        if user:
            shutil.chown(place, user)

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), "-D", f"{place}/data", *arguments]
            subprocess.run(command, check=True, user=user, cwd=place, stdout=subprocess.DEVNULL)

        run("initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
        run("pg_ctl", "start", "-w", "-l", f"{place}/log", "-o", f"-c listen_addresses= -k {place} -F")
        try:
            yield Postgres(folder, Path(place))
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")
