"""The server listens on IPv6 and on IPv4, and on one of them where the machine does not have the other."""

import errno
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import anyio
import pytest

from collector.errors import UserError
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from collector.web import listening
from collector.web.server import serve_http
from collector.web.settings import HttpSettings
from tests.deploy.compose import image
from tests.kafka.broker import free_port
from tests.needs import need, no_ipv6
from tests.simulated import SimulatedClock
from tests.web import without_ipv6

pytestmark = pytest.mark.anyio

IMAGE_LISTEN = dict(each.split("=", 1) for each in image("ENV").split())["COLLECTOR__HTTP__LISTEN"]
LOOPBACK = ("127.0.0.1", "[::1]")


async def reached(host: str) -> list[str]:
    """The loopback addresses at which a server with this host responds."""
    port, found = free_port(), []
    status = ProcessStatus("1.2.3", "group")
    async with (
        serve_http((host, port), status, Metrics().registry, SimulatedClock()),
        aiohttp.ClientSession() as session,
    ):
        for address in LOOPBACK:
            with suppress(aiohttp.ClientConnectorError):
                async with session.get(f"http://{address}:{port}/healthz") as response:
                    found.append(address)
                    assert 200 == response.status
    return found


def lacking(monkeypatch: pytest.MonkeyPatch, number: int, *families: int) -> None:
    """Let the machine have none of these families."""
    real = listening._listening

    def listening_(family: int, address: tuple[str, int]) -> socket.socket:
        if family in families:
            raise OSError(number, os.strerror(number))
        return real(family, address)

    monkeypatch.setattr(listening, "_listening", listening_)


def resolving(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Let every name be that of both loopback addresses."""
    both = [(socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port))]
    found = [(family, socket.SOCK_STREAM, 6, "", address) for family, address in both]
    monkeypatch.setattr(listening, "_resolve", lambda *_: dict.fromkeys((each[0], each[4]) for each in found))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("::", ["127.0.0.1", "[::1]"]),
        ("0.0.0.0", ["127.0.0.1"]),  # noqa: S104 - with a free port, for a moment
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["[::1]"]),
    ],
)
async def test_the_addresses_of_a_host(host: str, expected: list[str]) -> None:
    need("IPV6", no_ipv6())
    assert expected == await reached(host)


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
async def test_without_ipv6_the_server_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    lacking(monkeypatch, number, socket.AF_INET6)
    assert ["127.0.0.1"] == await reached("::")


async def test_without_ipv4_the_server_listens_on_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    need("IPV6", no_ipv6())
    lacking(monkeypatch, errno.EAFNOSUPPORT, socket.AF_INET)
    assert ["[::1]"] == await reached("::")


async def test_a_name_with_an_address_that_is_not_available_uses_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    resolving(monkeypatch, port)
    lacking(monkeypatch, errno.EADDRNOTAVAIL, socket.AF_INET6)
    (found,) = await listening.listening_sockets("localhost", port)
    with found:
        assert ("127.0.0.1", port) == found.getsockname()


async def test_without_any_address_the_server_cannot_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking(monkeypatch, errno.EAFNOSUPPORT, socket.AF_INET, socket.AF_INET6)
    with pytest.raises(UserError, match=os.strerror(errno.EAFNOSUPPORT)) as raised:
        await reached("::")
    assert "cannot_listen" == raised.value.code


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.7", "é" * 70 + ".example", "::ffff"])
async def test_a_host_that_is_not_of_this_machine_is_an_error(host: str) -> None:
    with pytest.raises(UserError) as raised:
        await reached(host)
    assert "cannot_listen" == raised.value.code


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
async def test_a_port_that_is_in_use_in_one_family_is_an_error(family: int, address: str) -> None:
    need("IPV6", no_ipv6())
    with socket.socket(family) as taken:
        taken.bind((address, 0))
        taken.listen()
        with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
            await listening.listening_sockets("::", taken.getsockname()[1])


@pytest.mark.parametrize("setting", [IMAGE_LISTEN, "localhost:9464"])
async def test_the_daemon_and_its_health_check_work_where_ipv6_is_disabled(tmp_path: Path, setting: str) -> None:
    """Real processes, in a network namespace of their own, with the image's setting."""
    need("NETWORK_NAMESPACE", without_ipv6.why_not())
    config = tmp_path / "config.toml"
    source = '[sources.mall]\nvendor = "seemetrix"\nuser_id = 864\nuser_key = "0123456789"\n'
    config.write_text(f'[kafka]\nbootstrap_servers = "127.0.0.1:1"\n{source}', "utf-8")
    program = """
import subprocess, sys, time
command = [sys.executable, "-m", "collector"]
with subprocess.Popen([*command, "run", "--config", sys.argv[1]], stderr=subprocess.DEVNULL) as daemon:
    health, deadline = 1, time.monotonic() + 60
    while health and daemon.poll() is None and time.monotonic() < deadline:
        health = subprocess.run([*command, "health", "--config", sys.argv[1]]).returncode
    daemon.terminate()
sys.exit(health)
"""
    command = [*without_ipv6.COMMAND, sys.executable, "-c", program, str(config)]
    environment = {**os.environ, "COLLECTOR__HTTP__LISTEN": setting}
    done = await anyio.run_process(command, check=False, stderr=subprocess.STDOUT, env=environment)
    assert 0 == done.returncode, done.stdout.decode()[-1000:]


def test_the_image_listens_on_all_addresses() -> None:
    assert (listening.ALL_ADDRESSES, 9464) == HttpSettings(listen=IMAGE_LISTEN).address
