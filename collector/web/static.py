"""The static files of the status page. The page requests its data from /api/status."""

from collections.abc import Awaitable, Callable, Iterator
from importlib.resources import files

from aiohttp import web

FILES = {
    "/": ("index.html", "text/html"),
    "/page/page.css": ("page.css", "text/css"),
    "/page/page.js": ("page.js", "text/javascript"),
    "/page/dom.js": ("dom.js", "text/javascript"),
    "/page/facts.js": ("facts.js", "text/javascript"),
    "/page/scale.js": ("scale.js", "text/javascript"),
    "/page/stream.js": ("stream.js", "text/javascript"),
    "/page/streams.js": ("streams.js", "text/javascript"),
    "/page/summary.js": ("summary.js", "text/javascript"),
    "/page/texts.js": ("texts.js", "text/javascript"),
    "/page/timeline.js": ("timeline.js", "text/javascript"),
    "/page/icon.svg": ("icon.svg", "image/svg+xml"),
    "/page/icon-neutral.svg": ("icon-neutral.svg", "image/svg+xml"),
    "/page/icon-error.svg": ("icon-error.svg", "image/svg+xml"),
}
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""Scripts and styles come from these files only, so that no text from a vendor is ever executed."""


def routes() -> Iterator[web.RouteDef]:
    """A route for each file. Raises FileNotFoundError if the package was built without them."""
    folder = files("collector.web") / "page"
    for path, (name, content_type) in FILES.items():
        yield web.get(path, _handler((folder / name).read_bytes(), content_type))


def _handler(body: bytes, content_type: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that responds with this body."""
    headers = HEADERS | POLICY

    async def send(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)

    return send
