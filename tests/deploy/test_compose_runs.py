"""The commands, environments and configuration of deploy/compose.yaml, run as local processes.

Kafka is the broker of the tests; Prometheus and Grafana have their own tests.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import aiohttp
import anyio
import pytest

from tests.commands.harness import closed_port
from tests.deploy.compose import COLLECTOR_SERVICES, image, mounts, services
from tests.kafka.daemon import reading, until

pytestmark = pytest.mark.anyio

TOPICS = ("seemetrix.sessions", "seemetrix.devices", "seemetrix.counters", "quividi.viewers")
SIMULATOR, *COLLECTORS = COLLECTOR_SERVICES
_INHERITED_VARIABLES = ("PATH", "HOME", "TMPDIR")


class LocalServices:
    """The services, at local addresses instead of names in a Docker network."""

    def __init__(self, home: Path, kafka: str, prefix: str) -> None:
        self._home = home
        self._services = services()
        self._isolation = {"COLLECTOR__KAFKA__TOPIC_PREFIX": prefix, "COLLECTOR__KAFKA__GROUP": f"{prefix}group"}
        self._listen = {name: f"127.0.0.1:{closed_port()}" for name in COLLECTOR_SERVICES}
        vendors = self._listen[SIMULATOR]
        self._addresses = {
            "kafka:19092": kafka,
            "simulator:8864": vendors,
            "0.0.0.0:8864": vendors,
            "8864": vendors.partition(":")[2],
        }

    @contextmanager
    def running(self, name: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the entry point of the image with the command of the service until the end of the block."""
        service, folder = self._services[name], self._home / name
        folder.mkdir()
        for container_path, host_path in mounts(service).items():
            assert Path(image("WORKDIR")) == Path(container_path).parent
            (folder / Path(container_path).name).write_text(self._localized(host_path.read_text("utf-8")), "utf-8")
        command = self._command([*image("ENTRYPOINT"), *service.get("command", image("CMD"))])
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, env=self._environment(name), stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    async def is_healthy(self, name: str) -> bool:
        """Run the health check of the service; if it has none, that of the image."""
        kind, *command = self._services[name].get("healthcheck", {}).get("test") or ["CMD", *image("HEALTHCHECK")]
        assert "CMD" == kind
        done = await anyio.run_process(self._command(command), check=False, env=self._environment(name))
        return done.returncode == 0

    async def is_ready(self, name: str) -> bool:
        url = f"http://{self._listen[name]}/readyz"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status == 200

    def _environment(self, name: str) -> dict[str, str]:
        """The environment of the service, and settings that isolate the test."""
        inherited = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
        own = {**self._isolation, "COLLECTOR__HTTP__LISTEN": self._listen[name]}
        return {**inherited, **self._services[name].get("environment", {}), **own}

    def _command(self, command: Sequence[str]) -> list[str]:
        """The command with the tested Python and package."""
        first, *rest = command
        program = {"python": [], "collector": ["-m", "collector"]}[Path(first).name]
        return [sys.executable, *program, *map(self._localized, rest)]

    def _localized(self, text: str) -> str:
        return re.sub("|".join(map(re.escape, self._addresses)), lambda found: self._addresses[found[0]], text)


async def test_events_of_both_vendors_flow_through_two_replicas(kafka: str, prefix: str, tmp_path: Path) -> None:
    local = LocalServices(tmp_path, kafka, prefix)
    with ExitStack() as running:
        running.enter_context(local.running(SIMULATOR))
        await until(partial(local.is_healthy, SIMULATOR), "the simulator is healthy")
        replicas = [running.enter_context(local.running(name)) for name in COLLECTORS]
        for name in COLLECTORS:
            await until(partial(local.is_healthy, name), f"{name} is healthy")
            await until(partial(local.is_ready, name), f"{name} is ready")
        for topic in TOPICS:
            async with reading(kafka, [prefix + topic]) as reader:
                await until(partial(reader.has, 1), f"an event in {topic}")

        for replica in replicas:
            replica.terminate()
        assert [0, 0] == [await anyio.to_thread.run_sync(replica.wait) for replica in replicas]
