"""deploy/compose.yaml, run: its commands, its environment and its configuration, as processes of this machine.

Kafka is the tests' own; Prometheus and Grafana have tests of their own.
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
from tests.deploy.compose import OURS, image, mounts, services
from tests.kafka.daemon import reading, until

pytestmark = pytest.mark.anyio

TOPICS = ("seemetrix.sessions", "seemetrix.devices", "seemetrix.counters", "quividi.viewers")
SIMULATOR, *COLLECTORS = OURS
_SURROUNDINGS = ("PATH", "HOME", "TMPDIR")


class Placed:
    """Our services, at addresses of this machine instead of names in a network of their own."""

    def __init__(self, home: Path, kafka: str, prefix: str) -> None:
        self._home = home
        self._services = services()
        self._own = {"COLLECTOR__KAFKA__TOPIC_PREFIX": prefix, "COLLECTOR__KAFKA__GROUP": f"{prefix}group"}
        self._listen = {name: f"127.0.0.1:{closed_port()}" for name in OURS}
        vendors = self._listen[SIMULATOR]
        self._here = {
            "kafka:19092": kafka,
            "simulator:8864": vendors,
            "0.0.0.0:8864": vendors,
            "8864": vendors.partition(":")[2],
        }

    @contextmanager
    def running(self, name: str) -> Iterator["subprocess.Popen[bytes]"]:
        """What an engine would start, until the end of the block: the image's program with the service's command."""
        service, folder = self._services[name], self._home / name
        folder.mkdir()
        for inside, outside in mounts(service).items():
            assert Path(image("WORKDIR")) == Path(inside).parent
            (folder / Path(inside).name).write_text(self._placed(outside.read_text("utf-8")), "utf-8")
        command = self._command([*image("ENTRYPOINT"), *service.get("command", image("CMD"))])
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, env=self._environment(name), stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    async def is_healthy(self, name: str) -> bool:
        """What the service's health check says; where it has none, that of the image."""
        how, *command = self._services[name].get("healthcheck", {}).get("test") or ["CMD", *image("HEALTHCHECK")]
        assert "CMD" == how
        done = await anyio.run_process(self._command(command), check=False, env=self._environment(name))
        return done.returncode == 0

    async def is_ready(self, name: str) -> bool:
        url = f"http://{self._listen[name]}/readyz"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status == 200

    def _environment(self, name: str) -> dict[str, str]:
        """The service's, and what keeps tests apart."""
        surroundings = {each: os.environ[each] for each in _SURROUNDINGS if each in os.environ}
        own = {**self._own, "COLLECTOR__HTTP__LISTEN": self._listen[name]}
        return {**surroundings, **self._services[name].get("environment", {}), **own}

    def _command(self, given: Sequence[str]) -> list[str]:
        """Of the Python and the package that are tested."""
        first, *rest = given
        program = {"python": [], "collector": ["-m", "collector"]}[Path(first).name]
        return [sys.executable, *program, *map(self._placed, rest)]

    def _placed(self, text: str) -> str:
        return re.sub("|".join(map(re.escape, self._here)), lambda found: self._here[found[0]], text)


async def test_events_of_both_vendors_flow_through_two_replicas(kafka: str, prefix: str, tmp_path: Path) -> None:
    placed = Placed(tmp_path, kafka, prefix)
    with ExitStack() as running:
        running.enter_context(placed.running(SIMULATOR))
        await until(partial(placed.is_healthy, SIMULATOR), "the simulator is healthy")
        replicas = [running.enter_context(placed.running(name)) for name in COLLECTORS]
        for name in COLLECTORS:
            await until(partial(placed.is_healthy, name), f"{name} is healthy")
            await until(partial(placed.is_ready, name), f"{name} is ready")
        for topic in TOPICS:
            async with reading(kafka, [prefix + topic]) as reader:
                await until(partial(reader.has, 1), f"an event in {topic}")

        for replica in replicas:
            replica.terminate()
        assert [0, 0] == [await anyio.to_thread.run_sync(replica.wait) for replica in replicas]
