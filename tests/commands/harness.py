"""The program as its user starts it, and a Seemetrix on loopback for it to ask."""

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
_SURROUNDINGS = ("PATH", "HOME", "SYSTEMROOT", "TMPDIR")


class Ended(Struct, frozen=True):
    """A process that has ended, and what it said."""

    code: int
    out: str
    err: str


async def collector(*arguments: str, flags: tuple[str, ...] = (), env: Mapping[str, str] | None = None) -> Ended:
    """Run `collector` with these arguments to its end; none of the tests' own environment reaches it."""
    surroundings = {name: os.environ[name] for name in _SURROUNDINGS if name in os.environ}
    done = await anyio.run_process(
        [sys.executable, *flags, "-m", "collector", *arguments],
        check=False,
        env={**surroundings, "COLUMNS": "200", **(env or {})},
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


class Seemetrix:
    """A vendor with one user, whose key, devices and sessions are given."""

    def __init__(self, sessions: str) -> None:
        self.base_url = ""
        self.asked: list[dict[str, str]] = []
        """The queries for raw data, in order."""
        self._sessions = sessions

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/user/{user}/devices/", self._devices)
        app.router.add_get("/api/statistics/user/{user}/raw/data/", self._raw_data)
        return app

    async def _devices(self, request: web.Request) -> web.Response:
        _admit(request)
        return web.Response(text=DEVICES, content_type="application/json")

    async def _raw_data(self, request: web.Request) -> web.Response:
        _admit(request)
        self.asked.append(dict(request.query))
        return web.Response(text=self._sessions, content_type="application/json")


def _admit(request: web.Request) -> None:
    """401 for a wrong key and 403 for a wrong user: the vendor's document, "Overview"."""
    if request.query.get("key") != KEY:
        raise web.HTTPUnauthorized
    if request.match_info["user"] != str(USER):
        raise web.HTTPForbidden


@asynccontextmanager
async def seemetrix(sessions: str = '{"objects": []}') -> AsyncIterator[Seemetrix]:
    """A Seemetrix that listens until the end of the block."""
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
    """A port of this machine that nothing listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def write_config(
    folder: Path, base_url: str, *, user_id: int = USER, user_key: str = f'"{KEY}"', more: str = ""
) -> str:
    """The path of a configuration with the source `mall` there, and a Kafka that is nowhere."""
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
