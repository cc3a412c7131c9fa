"""The HTTP server of the process. It serves metrics and status; secrets are redacted."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import cast

import orjson
from aiohttp import web
from anyio import to_thread
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from collector.clock import Clock
from collector.errors import OUT_OF_FILES, RAISE_FILE_LIMIT, Failed, UserError, is_out_of_files
from collector.redaction import redact, redacted
from collector.telemetry.status import ProcessStatus
from collector.turns import in_turns
from collector.web import static
from collector.web.connections import HEADERS, Connection, Connections, Limits, max_connections
from collector.web.hosts import accepted_hosts
from collector.web.listening import listening_sockets
from collector.web.shared import MAX_AGE_S, Shared

_FORMATS: Mapping[str, Callable[[CollectorRegistry], bytes]] = {
    CONTENT_TYPE_PLAIN_0_0_4: generate_latest,
    openmetrics.CONTENT_TYPE_LATEST: openmetrics.generate_latest,
}
"""The functions that render the metrics, by content type."""
STATUS_TURN_S = 0.002
"""How long other tasks wait for the status of many streams: less than for data, because nobody waits for the former."""
_WRONG_HOST = "this server does not accept requests for this host name: add it to http.hosts in the configuration\n"
_NO_BODY = "a request to this server must have no body\n"
_GZIP_REFUSED = re.compile(r"gzip\s*;\s*q=0(\.0*)?\s*(,|$)")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serve_http(
    address: tuple[str, int],
    process_status: ProcessStatus,
    registry: CollectorRegistry,
    clock: Clock,
    *,
    before_status: Callable[[], Awaitable[None]] | None = None,
    hosts: Sequence[str] = (),
    limits: Limits | None = None,
    max_age_s: float = MAX_AGE_S,
) -> AsyncIterator[None]:
    """Serve until the end of the block. Raises UserError, on entry, if the server cannot listen on the address.

    `hosts` is http.hosts. The metrics and the status are rendered at most once in `max_age_s` seconds; `before_status`
    is awaited before the status is.
    """

    async def render_metrics(content_type: str) -> tuple[bytes, bytes]:
        return await to_thread.run_sync(lambda: _with_compressed(_FORMATS[content_type](registry)))

    async def render_status() -> tuple[bytes, bytes]:
        if before_status is not None:
            await before_status()
        # Here, because the status changes in this thread only.
        snapshot = await in_turns(process_status.in_steps(clock.now()), STATUS_TURN_S)
        return await to_thread.run_sync(_encode_status, snapshot)

    shared_status = Shared(render_status, clock, max_age_s)
    shared_metrics = {each: Shared(partial(render_metrics, each), clock, max_age_s) for each in _FORMATS}

    async def metrics(request: web.Request) -> web.Response:
        content_type = _metrics_format(request.headers.get("Accept", ""))
        body, headers = _chosen(request, *await shared_metrics[content_type].get())
        return web.Response(body=body, headers=headers | {"Content-Type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        reason = process_status.not_ready_reason()
        return web.Response(status=503, text=f"{redact(reason)}\n") if reason else web.Response(text="ready\n")

    async def status(request: web.Request) -> web.Response:
        body, headers = _chosen(request, *await shared_status.get())
        return web.Response(body=body, content_type="application/json", headers=static.HEADERS | headers)

    app = web.Application(middlewares=[_restrict])
    app.add_routes(
        [
            web.get("/metrics", metrics),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/api/status", status),
            *static.routes(),
        ]
    )
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=2)
    await runner.setup()
    try:
        async with _listening(address, hosts, runner, limits or Limits(connections=max_connections())):
            yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _listening(
    address: tuple[str, int], hosts: Sequence[str], runner: web.AppRunner, limits: Limits
) -> AsyncIterator[None]:
    """Accept connections until the end of the block.

    Raises UserError, on entry, if that is not possible, and Failed if too many files are open.
    """
    server = cast("web.Server", runner.server)  # which exists since the setup
    loop = asyncio.get_running_loop()
    host, port = address
    with ExitStack() as stack:
        try:
            sockets = await listening_sockets(host, port)
            accepted = accepted_hosts(host, [each.getsockname()[0] for each in sockets], hosts)
            new = partial(Connections(limits, accepted).new, server)
            for each in sockets:
                stack.callback((await loop.create_server(new, sock=each)).close)
        except OSError as error:
            if is_out_of_files(error):
                text = f"http.listen = {host}:{port}: {error.strerror}: {RAISE_FILE_LIMIT}"
                raise Failed(text, code=OUT_OF_FILES) from error
            advice = "configure another address, or stop the process that listens there"
            text = f"http.listen = {host}:{port}: {error.strerror or error}: {advice}"
            raise UserError(text, code="cannot_listen") from error
        yield


@web.middleware
async def _restrict(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Respond to requests for an accepted host and without a body; close the connection after the response."""
    connection = cast("Connection", request.protocol)
    connection.is_waiting = False
    try:
        if not connection.accepts_host(request.headers.getall("Host", ())):
            response: web.StreamResponse = web.Response(status=HTTPStatus.MISDIRECTED_REQUEST, text=_WRONG_HOST)
        elif request.body_exists:
            response = web.Response(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text=_NO_BODY)
        else:
            response = await handler(request)
    except web.HTTPException as error:
        _finish(error)
        raise
    _finish(response)
    return response


def _finish(response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.force_close()


def _metrics_format(accept: str) -> str:
    """The content type of the metrics for this header. The client's version is not repeated: formats are shared."""
    try:
        _, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is not a number
        return CONTENT_TYPE_PLAIN_0_0_4
    is_openmetrics = content_type.startswith("application/openmetrics-text")
    return openmetrics.CONTENT_TYPE_LATEST if is_openmetrics else CONTENT_TYPE_PLAIN_0_0_4


def _encode_status(snapshot: dict[str, object]) -> tuple[bytes, bytes]:
    """The status as JSON without secrets, plain and compressed."""
    return _with_compressed(orjson.dumps(redacted(snapshot)))


def _with_compressed(body: bytes) -> tuple[bytes, bytes]:
    return body, gzip.compress(body)


def _chosen(request: web.Request, plain: bytes, compressed: bytes) -> tuple[bytes, dict[str, str]]:
    """The body that the client accepts, and its headers. The metrics of 500 sources have 1.5 MB, compressed 80 kB."""
    headers = {"Vary": "Accept-Encoding"}
    accepted = request.headers.get("Accept-Encoding", "").lower()
    if "gzip" in accepted and not _GZIP_REFUSED.search(accepted):
        return compressed, headers | {"Content-Encoding": "gzip"}
    return plain, headers
