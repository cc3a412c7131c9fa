"""The engines, each with an empty database."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.needs import need
from tests.sql.engines import Database, clickhouse_database, duckdb_database
from tests.sql.postgres import missing, postgres_database

ENGINES: Mapping[str, Callable[[Path], AbstractContextManager[Database]]] = {
    "duckdb": duckdb_database,
    "clickhouse": clickhouse_database,
    "postgres": postgres_database,
}


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One engine for all tests: to start one takes longer than a test."""
    if request.param == "postgres":
        need("POSTGRES", missing())
    with ENGINES[request.param](tmp_path_factory.mktemp(request.param)) as opened:
        yield opened


@pytest.fixture
def database(engine: Database) -> Database:
    engine.clear()
    return engine
