"""The body of a refusal is read only if the caller wants it, and never changes which error is raised."""

import gzip

import pytest
from aiohttp import web

from collector.errors import NotFound, Park
from collector.secrets import Secret
from collector.vendors.http import MAX_ERROR_BYTES, http
from tests.simulated import SimulatedClock
from tests.vendors.loopback import (
    KEY,
    LONG_TIMEOUT,
    UNREPORTED,
    Conversation,
    Handler,
    assert_no_key,
    responding,
    sends,
    serving,
    tcp_server,
)

pytestmark = pytest.mark.anyio

BODY = b'{"message": "no licence", "error": 403}'


async def refusal(url: str, *, read_refusals: bool = True) -> Park:
    """The error of a request, with the body that was read."""
    key = Secret.model_validate(KEY)
    async with http(SimulatedClock()) as client:
        with pytest.raises(Park) as raised:
            await client.get(
                f"{url}/data/",
                {"key": key.reveal()},
                limits=LONG_TIMEOUT,
                limiter=client.limiter("vendor/1", LONG_TIMEOUT),
                on_request=UNREPORTED,
                redact=key.redacted,
                read_refusals=read_refusals,
            )
    assert_no_key(raised.value)
    return raised.value


async def refused_by(handler: Handler, *, read_refusals: bool = True) -> Park:
    async with serving(handler) as url:
        return await refusal(url, read_refusals=read_refusals)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_the_body_of_a_refusal_is_read_on_request(status: int) -> None:
    error = await refused_by(responding(BODY, status=status))

    assert (f"http_{status}", f"HTTP {status}", BODY) == (error.code, str(error), error.body)
    assert (status == 404) == isinstance(error, NotFound)
    assert b"" == (await refused_by(responding(BODY, status=status), read_refusals=False)).body


async def test_a_compressed_body_is_decompressed_and_secrets_are_redacted() -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        body = gzip.compress(f"no access with {KEY}".encode())
        return web.Response(status=403, body=body, headers={"Content-Encoding": "gzip"})

    error = await refused_by(handler)

    assert error.body.startswith(b"no access with ")
    assert KEY.encode() not in error.body


@pytest.mark.parametrize(
    "handler",
    [
        responding(b"x" * (MAX_ERROR_BYTES + 1), status=403),
        responding(b"not gzip", status=403, headers={"Content-Encoding": "gzip"}),
        responding(b"unknown", status=403, headers={"Content-Encoding": "x-secret"}),
    ],
    ids=["long", "malformed", "unknown encoding"],
)
async def test_a_body_that_cannot_be_used_is_empty(handler: Handler) -> None:
    error = await refused_by(handler)

    assert ("http_403", b"") == (error.code, error.body)


@pytest.mark.parametrize(
    "converse", [sends(b"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\npart of it")], ids=["incomplete"]
)
async def test_a_body_that_ends_early_is_empty(converse: Conversation) -> None:
    async with tcp_server(converse) as url:
        error = await refusal(url)

    assert ("http_403", b"") == (error.code, error.body)
