"""A real Prometheus with the committed configuration and the targets of a test."""

import math
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.kafka.broker import free_port
from tests.monitoring.definitions import PROMETHEUS, load

INTERVAL = "500ms"
"""Between two scrapes, and between two evaluations of the rules."""
STOP_S = 40


class Prometheus:
    """A client of the running server."""

    def __init__(self, address: str, session: aiohttp.ClientSession) -> None:
        self._address = address
        self._session = session

    async def is_ready(self) -> bool:
        try:
            async with self._session.get(f"{self._address}/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def rules(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = (await self._get("rules"))["groups"]
        return [rule for group in groups for rule in group["rules"]]

    async def query(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """The labels and the current value of each series, without NaN."""
        found = (await self._get("query", query=expr))["result"]
        values = [(series["metric"], float(series["value"][1])) for series in found]
        return [(labels, value) for labels, value in values if not math.isnan(value)]

    async def _get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON
        async with self._session.get(f"{self._address}/api/v1/{path}", params=query) as response:
            body = await response.json()
        assert "success" == body["status"], body
        return body["data"]


def configuration(targets: Sequence[str]) -> str:
    """The committed configuration with these targets and short intervals."""
    config = load(PROMETHEUS / "prometheus.yml")
    config["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
    config["rule_files"] = [str(PROMETHEUS / name) for name in config["rule_files"]]
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": list(targets)}]
    return yaml.safe_dump(config)


@asynccontextmanager
async def running(home: Path, targets: Sequence[str]) -> AsyncIterator[Prometheus]:
    with _process(home, targets) as address:
        async with aiohttp.ClientSession() as session:
            yield Prometheus(address, session)


@contextmanager
def _process(home: Path, targets: Sequence[str]) -> Iterator[str]:
    address = f"127.0.0.1:{free_port()}"
    config = home / "prometheus.yml"
    config.write_text(configuration(targets), "utf-8")
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={home / 'prometheus'}",
        f"--web.listen-address={address}",
    ]
    with (home / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        finally:
            process.kill()
            process.wait()
