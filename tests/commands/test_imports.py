"""Commands that end at once import only what they need, so that they start fast."""

import sys
from pathlib import Path

import anyio
import pytest

from tests.commands.harness import closed_port

pytestmark = pytest.mark.anyio

EXAMPLE = Path(__file__).parents[2] / "config.toml"
PROGRAM = """
import atexit, sys
atexit.register(lambda: print(*sys.modules))
from collector.__main__ import main
main()
"""
DAEMON = {"aiohttp", "aiokafka", "anyio", "asyncio", "prometheus_client", "structlog", "uvloop"}
"""What sends requests, and what reports. It takes most of the daemon's start."""
CONFIGURATION = {"collector.config", "collector.settings", "collector.vendors", "msgspec"}
"""What validates the whole configuration."""
ARGUMENTS = {"pydantic", "rich"}
"""What typer needs to convert arguments, and what prints on terminals."""


async def imported(*arguments: str, env: dict[str, str] | None = None) -> set[str]:
    """The modules that a run of `collector` with these arguments has imported when it ends."""
    done = await anyio.run_process([sys.executable, "-c", PROGRAM, *arguments], check=False, env=env)
    modules = done.stdout.decode().splitlines()[-1].split()
    assert "collector.cli" in modules, done.stderr.decode()
    return {*modules}


@pytest.mark.parametrize("option", ["--help", "--version"])
async def test_help_imports_no_more_than_the_command_line(option: str) -> None:
    assert not (DAEMON | CONFIGURATION | ARGUMENTS) & await imported(option)


async def test_a_health_check_imports_neither_the_daemon_nor_the_configuration() -> None:
    modules = await imported("health", env={"COLLECTOR__HTTP__LISTEN": f"127.0.0.1:{closed_port()}"})

    assert "collector.commands.health" in modules
    assert not (DAEMON | CONFIGURATION) & modules


async def test_an_offline_check_imports_the_configured_vendors_without_what_sends_requests() -> None:
    modules = await imported("check", "--offline", "--config", str(EXAMPLE))

    assert "collector.vendors.seemetrix.settings" in modules
    assert not {*DAEMON, "collector.vendors.quividi"} & modules
