"""The engines, each with an empty database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sql.engines import Database, clickhouse_database, duckdb_database


@pytest.fixture(params=[duckdb_database, clickhouse_database], ids=["duckdb", "clickhouse"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with request.param(tmp_path) as opened:
        yield opened
