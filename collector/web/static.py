"""The status page: files that are read once and sent as they are. All that it shows it asks /api/status for."""

from collections.abc import Awaitable, Callable, Iterator
from importlib.resources import files

from aiohttp import web

FILES = {
    "/": ("index.html", "text/html"),
    "/page/page.css": ("page.css", "text/css"),
    "/page/page.js": ("page.js", "text/javascript"),
    "/page/stream.js": ("stream.js", "text/javascript"),
    "/page/strip.js": ("strip.js", "text/javascript"),
    "/page/words.js": ("words.js", "text/javascript"),
    "/page/icon.svg": ("icon.svg", "image/svg+xml"),
    "/page/icon-trouble.svg": ("icon-trouble.svg", "image/svg+xml"),
}
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""Nothing but these files: no text of a vendor's ever acts."""


def routes() -> Iterator[web.RouteDef]:
    """One for each file. Raises FileNotFoundError where the package was built without them."""
    folder = files("collector.web") / "page"
    for path, (name, content_type) in FILES.items():
        yield web.get(path, _sending((folder / name).read_bytes(), content_type))


def _sending(body: bytes, content_type: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    headers = HEADERS | POLICY

    async def send(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)

    return send
