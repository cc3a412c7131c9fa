"""Runs `collector` in a process, and serves a Seemetrix with fixed responses on loopback."""

import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent

import anyio
from aiohttp import web
from msgspec import Struct

USER, KEY = 864, "the/right key"
DEVICES = """{
    "online": [{"d": 3024, "n": "Device #3"}], "online_total": 1,
    "offline": [{"d": 2899, "n": "Device #5"}], "offline_total": 1,
    "frozen": [{"d": 3035, "n": "Device #1"}], "frozen_total": 1
}"""
_INHERITED = ("PATH", "HOME", "SYSTEMROOT", "TMPDIR")


class Completed(Struct, frozen=True):
    """The exit code and the output of a process."""

    code: int
    out: str
    err: str


async def collector(*arguments: str, flags: tuple[str, ...] = (), env: Mapping[str, str] | None = None) -> Completed:
    """Run `collector` with these arguments until it ends. It does not inherit the environment of the tests."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    done = await anyio.run_process(
        [sys.executable, *flags, "-m", "collector", *arguments],
        check=False,
        env={**inherited, "COLUMNS": "200", **(env or {})},
    )
    return Completed(done.returncode, done.stdout.decode(), done.stderr.decode())


class Seemetrix:
    """A vendor with one user."""

    def __init__(self, sessions: str) -> None:
        self.base_url = ""
        self.requests: list[dict[str, str]] = []
        """The queries of the requests for raw data, in order."""
        self._sessions = sessions

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/user/{user}/devices/", self._devices)
        app.router.add_get("/api/statistics/user/{user}/raw/data/", self._raw_data)
        return app

    async def _devices(self, request: web.Request) -> web.Response:
        _authorize(request)
        return web.Response(text=DEVICES, content_type="application/json")

    async def _raw_data(self, request: web.Request) -> web.Response:
        _authorize(request)
        self.requests.append(dict(request.query))
        return web.Response(text=self._sessions, content_type="application/json")


def _authorize(request: web.Request) -> None:
    """401 for a wrong key and 403 for a wrong user, as in the vendor's document, "Overview"."""
    if request.query.get("key") != KEY:
        raise web.HTTPUnauthorized
    if request.match_info["user"] != str(USER):
        raise web.HTTPForbidden


@asynccontextmanager
async def seemetrix(sessions: str = '{"objects": []}') -> AsyncIterator[Seemetrix]:
    """Serve the vendor until the end of the block."""
    vendor = Seemetrix(sessions)
    runner = web.AppRunner(vendor.app(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        vendor.base_url = f"http://{host}:{port}/api"
        yield vendor
    finally:
        await runner.cleanup()


def closed_port() -> int:
    """A port of loopback at which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def write_config(
    folder: Path, base_url: str, *, user_id: int = USER, user_key: str = f'"{KEY}"', more: str = ""
) -> str:
    """Write a configuration with the source `mall` and an unreachable Kafka; return its path."""
    path = folder / "config.toml"
    path.write_text(
        dedent(
            f"""\
            [kafka]
            bootstrap_servers = "127.0.0.1:{closed_port()}"
            transaction_timeout = "3s"

            [sources.mall]
            vendor = "seemetrix"
            base_url = "{base_url}"
            user_id = {user_id}
            user_key = {user_key}
            """
        )
        + more,
        "utf-8",
    )
    return str(path)
