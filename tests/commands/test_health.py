"""`collector health` ends with 0 when the daemon responds, else with 1 and advice."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from collector.web.server import serve_http
from tests.commands.harness import closed_port, collector
from tests.needs import need, no_ipv6
from tests.simulated import SimulatedClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def arguments(config: Path, address: str, more: str = "") -> tuple[str, ...]:
    """The arguments to check a daemon that listens at the address."""
    config.write_text(f'[http]\nlisten = "{address}"\n{more}', "utf-8")
    return ("health", "--config", str(config))


@asynccontextmanager
async def daemon(host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Serve the daemon's HTTP endpoints; the port."""
    port = closed_port()
    async with serve_http((host, port), ProcessStatus("1.2.3", "group"), Metrics().registry, SimulatedClock()):
        yield port


@asynccontextmanager
async def responding(response: bytes) -> AsyncIterator[int]:
    """The port of a server that sends these bytes to every request."""

    async def respond(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(response)

    port = closed_port()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, respond)
        yield port
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104 - only configured
async def test_a_daemon_that_responds_is_healthy(config: Path, host: str) -> None:
    async with daemon() as port:
        result = await collector(*arguments(config, f"{host}:{port}"))

    assert (0, "", "") == (result.code, result.out, result.err)


@pytest.mark.parametrize("host", ["[::1]", "[::]"])
async def test_a_daemon_on_ipv6_is_healthy(config: Path, host: str) -> None:
    need("IPV6", no_ipv6())
    async with daemon("::1") as port:
        result = await collector(*arguments(config, f"{host}:{port}"))

    assert (0, "", "") == (result.code, result.out, result.err)


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
async def test_a_daemon_on_all_addresses_is_healthy_with_and_without_ipv6(config: Path, host: str) -> None:
    async with daemon(host) as port:
        result = await collector(*arguments(config, f"[::]:{port}"))

    assert (0, "", "") == (result.code, result.out, result.err)


async def test_other_keys_and_secrets_are_not_validated(config: Path) -> None:
    async with daemon() as port:
        more = 'nope = 1\n[sources.mall]\nvendor = "seemetrix"\nuser_key = { env = "NO_SUCH_VARIABLE" }\n'
        result = await collector(*arguments(config, f"127.0.0.1:{port}", more))

    assert (0, "") == (result.code, result.err)


async def test_the_environment_overrides_the_file_and_makes_it_unnecessary(config: Path) -> None:
    async with daemon() as port:
        env = {"COLLECTOR__HTTP__LISTEN": f"0.0.0.0:{port}"}
        with_file = await collector(*arguments(config, f"127.0.0.1:{closed_port()}"), env=env)
        without_file = await collector("health", "--config", str(config.with_name("nowhere.toml")), env=env)

    assert (0, "") == (with_file.code, with_file.err)
    assert (0, "") == (without_file.code, without_file.err)


async def test_the_default_address(config: Path) -> None:
    config.touch()  # noqa: ASYNC240 - nothing else runs

    result = await collector("health", "--config", str(config))

    # A daemon may run on this machine.
    assert result.code == 0 or result.err.startswith("http://127.0.0.1:9464/healthz ")


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])  # noqa: S104 - only configured
async def test_a_daemon_that_does_not_run_is_a_failure(config: Path, host: str) -> None:
    port = closed_port()

    result = await collector(*arguments(config, f"{host}:{port}"))

    assert (1, "") == (result.code, result.out)
    facts = (f"http://127.0.0.1:{port}/healthz ", "Connection refused", "http.listen")
    assert not [fact for fact in facts if fact not in result.err]


async def test_a_daemon_that_hangs_is_a_failure_after_3_seconds(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        port = hanging.getsockname()[1]
        result = await collector(*arguments(config, f"127.0.0.1:{port}"))

    assert (1, "") == (result.code, result.out)
    assert not [fact for fact in (f"http://127.0.0.1:{port}/healthz ", "3 s") if fact not in result.err]


@pytest.mark.parametrize(
    ("response", "fact"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "HTTP 500"),
        (b"HTTP/1.1 301 Away\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", "HTTP 301"),
        (b"220 mail.example ESMTP\r\n", "not HTTP"),
        (b"", "closed without a response"),
    ],
    ids=["500", "301", "no HTTP", "nothing"],
)
async def test_an_unexpected_response_is_a_failure(config: Path, response: bytes, fact: str) -> None:
    async with responding(response) as port:
        result = await collector(*arguments(config, f"127.0.0.1:{port}"))

    assert (1, "") == (result.code, result.out)
    assert (True, True) == (result.err.startswith(f"http://127.0.0.1:{port}/healthz "), fact in result.err)


async def test_an_invalid_address_is_wrong_input(config: Path) -> None:
    result = await collector(*arguments(config, "9464"))

    assert (2, "") == (result.code, result.out)
    assert result.err.startswith("http.listen: ")


async def test_a_missing_configuration_is_wrong_input(config: Path) -> None:
    result = await collector("health", "--config", str(config))

    assert (2, "") == (result.code, result.out)
    assert result.err.startswith(f"{config}: No such file or directory: ")
    assert "--config" in result.err
