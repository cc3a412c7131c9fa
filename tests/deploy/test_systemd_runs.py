"""The commands of deploy/README.md for systemd, under a real systemd, with every restriction in force.

Kafka is real too. `pip` is left out: the installed versions are the checkout.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiohttp
import anyio
import pytest

from collector.app import STOP_S
from collector.commands.simulate import make_world
from collector.simulator import seemetrix
from collector.simulator.server import serving
from tests.container.image import TREE
from tests.deploy.included import secrets
from tests.deploy.systemd import FOLDER, VERSIONS, Machine, booted, why_not
from tests.docs.pages import fenced
from tests.kafka.broker import free_port
from tests.kafka.daemon import TopicReader, reading, until
from tests.needs import need

pytestmark = pytest.mark.anyio

SERVICE = "collector.service"
HOME = "/etc/collector"
SECRETS = f"{HOME}/secrets"
TEST = """
[Unit]
DefaultDependencies=no
[Service]
StandardOutput=file:{log}
StandardError=file:{log}
"""
"""Without the units of a real boot, and without a journal."""
CONFIG = """
include = "sources.d/*.toml"
[kafka]
bootstrap_servers = "{kafka}"
topic_prefix = "{prefix}"
group = "{prefix}group"
[http]
listen = "127.0.0.1:{port}"
"""
SOURCE = """
[sources.{name}]
vendor = "seemetrix"
base_url = "{url}"
user_id = {user}
user_key = {{ file = "{secret}" }}
[sources.{name}.streams.sessions]
interval = "1s"
settle = "1s"
"""


def commands(of: str) -> str:
    """Return the block of commands in deploy/README.md that contains a text."""
    (block,) = (each for each in fenced((TREE / "deploy/README.md").read_text("utf-8"), "sh") if of in each)
    return block


class Replica:
    """The service, with its HTTP server."""

    def __init__(self, machine: Machine, port: int) -> None:
        self.machine = machine
        self._address = f"127.0.0.1:{port}"

    async def get(self, path: str) -> tuple[int, str]:
        """Status code and body of the response; 0 if it does not respond."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://{self._address}{path}") as response:
                return response.status, await response.text()
        except aiohttp.ClientError:
            return 0, ""

    async def is_running_again(self, before: str) -> bool:
        """Whether it is ready, in another process."""
        return before != self.machine.shows(SERVICE, "MainPID") and (await self.get("/readyz"))[0] == 200

    async def follow(self, script: str, version: str) -> str:
        """Run commands of the page for a version, while the vendor responds."""
        script = script.replace("127.0.0.1:9464", self._address)
        return await anyio.to_thread.run_sync(self.machine.shell, f"VERSION={version}\n{script}")

    def do(self, verb: str, *options: str) -> None:
        self.machine.run("systemctl", verb, *options, SERVICE)


async def test_the_service_is_installed_extended_upgraded_restarted_and_stopped(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    need("SYSTEMD", why_not())
    port, log = free_port(), tmp_path / "log"
    first, second = VERSIONS
    async with serving(make_world(seed=1, devices=3, rate=3600.0, fast=True), host="127.0.0.1", port=0) as vendors:
        secret, *_ = (path for path in secrets(FOLDER) if path.endswith("seemetrix_user_key"))
        source = partial(SOURCE.format, url=vendors.url("seemetrix"), user=seemetrix.USER)
        with booted(tmp_path, {f"/etc/systemd/system/{SERVICE}.d/test.conf": TEST.format(log=log)}) as machine:
            replica = Replica(machine, port)
            machine.shell(commands("systemd-sysusers"), stdin=f"{seemetrix.KEY}\nanother-secret\n")
            machine.write(f"{HOME}/config.toml", CONFIG.format(kafka=kafka, prefix=prefix, port=port))
            machine.write(f"{HOME}/sources.d/mall.toml", source(name="mall", secret=secret))
            machine.run("rm", f"{HOME}/sources.d/airport.toml")
            assert "ok     sources.mall: " in await replica.follow(commands("enable --now"), first)
            async with reading(kafka, [f"{prefix}seemetrix.sessions"]) as reader:
                await until(partial(_has_event_of, reader, "mall"), "an event")
                await _is_restricted(replica)
                before = machine.shows(SERVICE, "MainPID")
                _add_account(replica, source)
                await until(partial(_has_event_of, reader, "shop"), "an event of the account that was added")
                assert before == machine.shows(SERVICE, "MainPID"), "an account needs no restart"
            assert "ok     sources.shop: " in await replica.follow(commands("systemctl restart"), second)
            await _restarts_and_stops(replica)
    assert seemetrix.KEY not in log.read_text("utf-8")


async def _has_event_of(reader: TopicReader, source: str) -> bool:
    return any(source == message.value["source"] for message in await reader.poll())


def _add_account(replica: Replica, source: Callable[..., str]) -> None:
    """As deploy/README.md adds one. Nothing is reloaded: the service notices the file."""
    machine = replica.machine
    machine.write("/run/shop.toml", source(name="shop", secret=f"{SECRETS}/shop_user_key"))
    machine.shell(commands("shop.toml").replace(" shop.toml", " /run/shop.toml"), stdin=f"{seemetrix.KEY}\n")


async def _is_restricted(replica: Replica) -> None:
    """Assert that the kernel restricts the process as the unit says."""
    machine = replica.machine
    status = machine.status(SERVICE)
    uids = set(status["Uid"].split())
    assert {machine.run("id", "--user", "collector")} == uids
    assert ("1", "2") == (status["NoNewPrivs"], status["Seccomp"])
    assert {"0" * 16} == {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    limits = machine.run("cat", f"/proc/{machine.shows(SERVICE, 'MainPID')}/limits").splitlines()
    assert ["8192", "8192"] == next(line.split()[3:5] for line in limits if line.startswith("Max open files"))
    # The metrics of the process come from /proc, which is restricted too.
    assert "process_start_time_seconds " in (await replica.get("/metrics"))[1]


async def _restarts_and_stops(replica: Replica) -> None:
    machine = replica.machine
    before = machine.shows(SERVICE, "MainPID")
    replica.do("kill", "--signal=KILL")
    await until(partial(replica.is_running_again, before), "the service is ready after it was killed")
    assert "1" == machine.shows(SERVICE, "NRestarts")

    with anyio.fail_after(STOP_S + 5):
        await anyio.to_thread.run_sync(replica.do, "stop")
    assert ("success", "0", "inactive") == tuple(
        machine.shows(SERVICE, name) for name in ("Result", "ExecMainStatus", "ActiveState")
    )
