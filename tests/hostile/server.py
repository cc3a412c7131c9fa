"""An HTTP server in a process of its own: a good vendor, and a hostile one with an account for each attack.

`/good/api` is a Seemetrix with one session per second. `/<attack>/api` has no data, except from the request of
`/start/<attack>` to that of the next attack.
"""

import asyncio
import gzip
import sys
import urllib.request
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from tests.hostile.attacks import BY_SLUG, body_of, form_of, slug
from tests.processes import running_module

DEVICE = 1
_current = [""]
"""The slug of the present attack."""


def sessions(first: datetime, last: datetime) -> list[dict[str, object]]:
    """The sessions of the good vendor that start in a window and have ended: one per second, of a second."""
    last = min(last, datetime.now(UTC) - timedelta(seconds=1))
    starts = range(int(first.timestamp()), int(last.timestamp()) + 1)
    return [{"d": DEVICE, "o": start, "b": _iso(start), "e": _iso(start + 1), "i": 1000} for start in starts]


def _iso(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while line := await reader.readline():
            while (await reader.readline()).strip():
                pass
            await _respond(unquote(line.split()[1].decode()), writer)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _respond(target: str, writer: asyncio.StreamWriter) -> None:
    path = urlsplit(target).path
    _, name, *_ = path.split("/")
    if name == "start":
        _current[0] = path.rpartition("/")[2]
        body = b""
    elif name == "good":
        query = parse_qs(urlsplit(target).query)
        first, last = (datetime.strptime(query[key][0] + "+0000", "%Y/%m/%d %H:%M:%S%z") for key in ("b", "e"))
        body = msgspec.json.encode({"objects": sessions(first, last)})
    elif name == _current[0]:
        attack = BY_SLUG[name]
        if attack.raw is not None:
            for part in attack.raw():
                writer.write(part)
                await writer.drain()
            return
        body = await asyncio.to_thread(body_of, name, path)
        if attack.compressed:
            body = await asyncio.to_thread(gzip.compress, body, 1)
            await _send(writer, body, "Content-Encoding: gzip\r\n")
            return
    else:
        body = b'{"username":"%b"}' % name.encode() if "/whoami/" in path else form_of(path) % b""
    await _send(writer, body)


async def _send(writer: asyncio.StreamWriter, body: bytes, headers: str = "") -> None:
    head = f"HTTP/1.1 200 OK\r\nDate: {formatdate(usegmt=True)}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


def hostile_vendor() -> AbstractContextManager[str]:
    """The URL of the server, which runs until the end of the block."""
    return running_module("tests.hostile.server")


def start_attack(url: str, name: str) -> None:
    """Let the server at the URL begin an attack, and end the one before it."""
    urllib.request.urlopen(f"{url}/start/{slug(name)}", timeout=10).close()  # noqa: S310 - of this module


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
