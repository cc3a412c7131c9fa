"""deploy/systemd/collector.service under a real systemd, with every restriction in force, and a real Kafka."""

import tomllib
from functools import partial
from pathlib import Path

import aiohttp
import anyio
import pytest

from collector.app import STOP_S
from collector.commands.simulate import make_world
from collector.simulator import seemetrix
from collector.simulator.server import serving
from tests.deploy.systemd import FOLDER, PROGRAM, UNIT, Machine, booted, why_not
from tests.kafka.broker import free_port
from tests.kafka.daemon import reading, until
from tests.needs import need

pytestmark = pytest.mark.anyio

SERVICE = "collector.service"
CONFIG_FILE = "/etc/collector/config.toml"
TEST = """
[Unit]
DefaultDependencies=no
[Service]
StandardOutput=file:{log}
StandardError=file:{log}
"""
"""Without the units of a real boot, and without a journal."""
CONFIG = """
[kafka]
bootstrap_servers = "{kafka}"
topic_prefix = "{prefix}"
group = "{prefix}group"
[http]
listen = "127.0.0.1:{port}"
[sources.mall]
vendor = "seemetrix"
base_url = "{url}"
user_id = {user}
user_key = {{ file = "{secret}" }}
[sources.mall.streams.sessions]
interval = "1s"
settle = "1s"
"""
SECRET = tomllib.loads((FOLDER / "sources.d/mall.toml").read_text("utf-8"))["sources"]["mall"]["user_key"]["file"]


class Replica:
    """The service, with its HTTP server."""

    def __init__(self, machine: Machine, port: int) -> None:
        self.machine = machine
        self._url = f"http://127.0.0.1:{port}"

    async def get(self, path: str) -> tuple[int, str]:
        """Status code and body of the response; 0 if it does not respond."""
        try:
            async with aiohttp.ClientSession() as session, session.get(self._url + path) as response:
                return response.status, await response.text()
        except aiohttp.ClientError:
            return 0, ""

    async def is_ready(self) -> bool:
        return (await self.get("/readyz"))[0] == 200

    async def is_ready_again(self, before: str) -> bool:
        return before != self.machine.shows(SERVICE, "MainPID") and await self.is_ready()

    def do(self, verb: str, *options: str) -> None:
        self.machine.run("systemctl", verb, *options, SERVICE)


async def test_the_service_publishes_restarts_and_stops_with_all_restrictions(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    need("SYSTEMD", why_not())
    port, log = free_port(), tmp_path / "log"
    world = make_world(seed=1, devices=3, rate=3600.0, fast=True)
    async with serving(world, host="127.0.0.1", port=0) as vendors:
        url = vendors.url("seemetrix")
        config = CONFIG.format(
            kafka=kafka, prefix=prefix, port=port, url=url, user=seemetrix.USER, secret=SECRET
        )
        files = {
            "/etc/sysusers.d/collector.conf": (FOLDER / "collector.sysusers.conf").read_text("utf-8"),
            f"/etc/systemd/system/{SERVICE}": UNIT.read_text("utf-8"),
            f"/etc/systemd/system/{SERVICE}.d/test.conf": TEST.format(log=log),
            CONFIG_FILE: config,
            f"/etc/collector/secrets/{SECRET.rpartition('secrets_')[2]}": f"{seemetrix.KEY}\n",
        }
        with booted(tmp_path, files) as machine:
            machine.run("systemd-sysusers")
            await _publishes_restarts_and_stops(Replica(machine, port), kafka, prefix)
    assert seemetrix.KEY not in log.read_text("utf-8")


async def _publishes_restarts_and_stops(replica: Replica, kafka: str, prefix: str) -> None:
    machine = replica.machine
    machine.run("systemctl", "daemon-reload")
    replica.do("start")
    await until(replica.is_ready, "the service is ready")
    async with reading(kafka, [f"{prefix}seemetrix.sessions"]) as reader:
        await until(partial(reader.has, 1), "an event")
    _is_restricted(machine)
    # The metrics of the process come from /proc, which is restricted too.
    assert "process_start_time_seconds " in (await replica.get("/metrics"))[1]
    # As root, `collector check` can read the credentials while the service runs.
    check = partial(machine.run, PROGRAM, "check", "--config", CONFIG_FILE, check=False)
    assert "ok     sources.mall: " in await anyio.to_thread.run_sync(check)

    before = machine.shows(SERVICE, "MainPID")
    replica.do("kill", "--signal=KILL")
    await until(partial(replica.is_ready_again, before), "the service is ready after it was killed")
    assert "1" == machine.shows(SERVICE, "NRestarts")

    with anyio.fail_after(STOP_S + 5):
        await anyio.to_thread.run_sync(replica.do, "stop")
    assert ("success", "0", "inactive") == tuple(
        machine.shows(SERVICE, name) for name in ("Result", "ExecMainStatus", "ActiveState")
    )


def _is_restricted(machine: Machine) -> None:
    """Assert that the kernel restricts the process as the unit says."""
    status = machine.status(SERVICE)
    uids = set(status["Uid"].split())
    assert machine.run("id", "--user", "collector") in uids
    assert 1 == len(uids)
    assert ("1", "2") == (status["NoNewPrivs"], status["Seccomp"])
    assert {"0" * 16} == {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    limits = machine.run("cat", f"/proc/{machine.shows(SERVICE, 'MainPID')}/limits").splitlines()
    assert ["8192", "8192"] == next(line.split()[3:5] for line in limits if line.startswith("Max open files"))
