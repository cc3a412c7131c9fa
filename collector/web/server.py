"""The HTTP server of the process. It serves metrics and status; secrets are redacted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from collector.clock import Clock
from collector.errors import UserError
from collector.secrets import redact, redacted
from collector.telemetry.status import ProcessStatus
from collector.web import static
from collector.web.listening import listening_sockets


@asynccontextmanager
async def serve_http(
    address: tuple[str, int], process_status: ProcessStatus, registry: CollectorRegistry, clock: Clock
) -> AsyncIterator[None]:
    """Serve until the end of the block. Raises UserError, on entry, if the server cannot listen on the address."""

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        reason = process_status.not_ready_reason()
        return web.Response(status=503, text=f"{redact(reason)}\n") if reason else web.Response(text="ready\n")

    async def status(_: web.Request) -> web.Response:
        body = orjson.dumps(redacted(process_status.as_json(clock.now())))
        response = web.Response(body=body, content_type="application/json", headers=static.HEADERS)
        response.enable_compression()
        return response

    app = web.Application()
    app.add_routes(
        [
            web.get("/metrics", metrics),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/api/status", status),
            *static.routes(),
        ]
    )
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2)
    await runner.setup()
    try:
        host, port = address
        try:
            for each in await listening_sockets(host, port):
                await web.SockSite(runner, each).start()
        except OSError as error:
            advice = "configure another address, or stop the process that listens there"
            text = f"http.listen = {host}:{port}: {error.strerror or error}: {advice}"
            raise UserError(text, code="cannot_listen") from error
        yield
    finally:
        await runner.cleanup()
