"""What `collector health` promises: 0 when this machine's process lives, else 1 and what to do; and it is light."""

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from collector.web.server import serving
from tests.commands.harness import closed_port, collector
from tests.needs import need
from tests.simulated import SimulatedClock

pytestmark = pytest.mark.anyio

HEAVY = ("aiohttp", "aiokafka", "anyio", "collector.config", "prometheus_client", "pydantic_settings", "structlog")
"""What the daemon needs, and most of the time that it takes to start."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def listens(config: Path, address: str, more: str = "") -> tuple[str, ...]:
    """The arguments with which a daemon is asked that listens there."""
    config.write_text(f'[http]\nlisten = "{address}"\n{more}', "utf-8")
    return ("health", "--config", str(config))


@asynccontextmanager
async def living(host: str = "127.0.0.1") -> AsyncIterator[int]:
    """The port of a process's own HTTP server."""
    port = closed_port()
    async with serving((host, port), ProcessStatus("1.2.3", "group"), Metrics().registry, SimulatedClock()):
        yield port


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """The port of a server that says this, whatever it is asked."""

    async def answer_(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(answer)

    port = closed_port()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer_)
        yield port
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104 - it is what is configured
async def test_a_process_that_lives_is_healthy_wherever_it_listens(config: Path, host: str) -> None:
    async with living() as port:
        ended = await collector(*listens(config, f"{host}:{port}"))

    assert (0, "", "") == (ended.code, ended.out, ended.err)


@pytest.mark.parametrize("host", ["[::1]", "[::]"])
async def test_a_process_that_lives_at_ipv6_is_healthy(config: Path, host: str) -> None:
    need("IPV6", _no_ipv6())
    async with living("::1") as port:
        ended = await collector(*listens(config, f"{host}:{port}"))

    assert (0, "", "") == (ended.code, ended.out, ended.err)


def _no_ipv6() -> str:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        return f"no IPv6 on loopback: {error.strerror}"
    return ""


async def test_no_other_key_has_to_be_right_and_no_secret_there(config: Path) -> None:
    async with living() as port:
        more = 'nope = 1\n[sources.mall]\nvendor = "seemetrix"\nuser_key = { env = "NO_SUCH_VARIABLE" }\n'
        ended = await collector(*listens(config, f"127.0.0.1:{port}", more))

    assert (0, "") == (ended.code, ended.err)


async def test_the_environment_wins_and_then_there_need_be_no_file(config: Path) -> None:
    async with living() as port:
        there = {"COLLECTOR__HTTP__LISTEN": f"0.0.0.0:{port}"}
        beside = await collector(*listens(config, f"127.0.0.1:{closed_port()}"), env=there)
        alone = await collector("health", "--config", str(config.with_name("nowhere.toml")), env=there)

    assert (0, "") == (beside.code, beside.err)
    assert (0, "") == (alone.code, alone.err)


async def test_without_an_address_it_is_the_usual_one(config: Path) -> None:
    config.touch()  # noqa: ASYNC240 - nothing else runs

    ended = await collector("health", "--config", str(config))

    # One may run on the machine of the tests.
    assert ended.code == 0 or ended.err.startswith("http://127.0.0.1:9464/healthz ")


async def test_one_that_is_not_there_is_told_with_what_to_look_at(config: Path) -> None:
    port = closed_port()

    ended = await collector(*listens(config, f"0.0.0.0:{port}"))

    assert (1, "") == (ended.code, ended.out)
    assert (
        f"http://127.0.0.1:{port}/healthz does not answer (Connection refused): is `collector run` there, with this "
        "http.listen?\n"
    ) == ended.err


async def test_one_that_hangs_is_not_waited_for_long(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        port = hanging.getsockname()[1]
        ended = await collector(*listens(config, f"127.0.0.1:{port}"))

    assert (1, "") == (ended.code, ended.out)
    assert f"http://127.0.0.1:{port}/healthz does not answer within 3 s: restart the process\n" == ended.err


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "answers HTTP 500: does another program have this"),
        (b"HTTP/1.1 301 Away\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", "answers HTTP 301: "),
        (b"220 mail.example ESMTP\r\n", "does not answer (BadStatusLine): "),
        (b"", "does not answer (RemoteDisconnected): "),
    ],
    ids=["500", "301", "no HTTP", "nothing"],
)
async def test_another_answer_is_told(config: Path, answer: bytes, told: str) -> None:
    async with answering(answer) as port:
        ended = await collector(*listens(config, f"127.0.0.1:{port}"))

    assert (1, "") == (ended.code, ended.out)
    assert ended.err.startswith(f"http://127.0.0.1:{port}/healthz {told}")


async def test_an_address_that_is_none_is_wrong_input(config: Path) -> None:
    ended = await collector(*listens(config, "9464"))

    assert (2, "") == (ended.code, ended.out)
    assert "http.listen: expected host:port, such as 127.0.0.1:9464\n" == ended.err


async def test_a_missing_configuration_is_wrong_input(config: Path) -> None:
    ended = await collector("health", "--config", str(config))

    assert (2, "") == (ended.code, ended.out)
    assert f"{config}: No such file or directory: give the configuration's path with --config\n" == ended.err


async def test_it_is_light() -> None:
    program = "import sys, collector.cli, collector.commands.health; print(*sys.modules)"
    imported = (await anyio.run_process([sys.executable, "-c", program])).stdout.decode().split()

    assert "collector.commands.health" in imported
    assert not {*HEAVY} & {*imported}
