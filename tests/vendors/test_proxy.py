"""Proxies: which one a request uses, and that their failures are reported as theirs."""

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
import trustme
from aiohttp import web
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

from collector.errors import CollectorError, Park, RetryLater
from collector.redaction import redact
from collector.vendors.http import http
from collector.vendors.proxy import proxy_for, proxy_name
from tests.simulated import SimulatedClock
from tests.vendors.loopback import (
    SHORT_TIMEOUT,
    Conversation,
    failure,
    get,
    responding,
    sends,
    sends_then_stalls,
    serving,
    tcp_server,
)

VENDOR = "https://analytics.vendor.example/api"
PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, "HTTPS_PROXY"),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other.example"}, "https_proxy"),
        ({"ALL_PROXY": PROXY}, "ALL_PROXY"),
        ({"HTTPS_PROXY": "", "all_proxy": PROXY}, "all_proxy"),
        ({"http_proxy": PROXY}, None),
        ({"HTTPS_PROXY": "proxy.example:3128"}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": f" {PROXY}\n"}, "HTTPS_PROXY"),
    ],
)
def test_the_variable_of_the_scheme_is_used_before_the_one_for_all(
    environment: dict[str, str], variable: str | None
) -> None:
    found = proxy_for(VENDOR, environment)
    assert variable == (found and found.variable)
    assert found is None or "proxy.example:3128" == found.address


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_of_plain_http_may_be_named_in_lower_and_in_upper_case(variable: str) -> None:
    found = proxy_for("http://vendor.example", {variable: PROXY})
    assert found is not None
    assert variable == found.variable


@pytest.mark.parametrize(
    ("host", "names", "is_direct"),
    [
        ("analytics.vendor.example", "*", True),
        ("analytics.vendor.example", "vendor.example", True),
        ("analytics.vendor.example", ".vendor.example", True),
        ("analytics.vendor.example", "other.example, VENDOR.example", True),
        ("analytics.vendor.example.", "vendor.example", True),
        ("analytics.vendor.example", "dor.example", False),
        ("analytics.vendor.example", "analytics", False),
        ("analytics.vendor.example", "vendor.example:443", False),
        ("analytics.vendor.example:8443", "vendor.example", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("11.1.2.3", "10.0.0.0/8 192.168.0.0/16", False),
        ("10.1.2.3", "2.3", False),
        ("[fd00::1]", "fd00::/8", True),
        ("[fd00::1]", "[fd00::1]", True),
        ("localhost", "", True),
        ("localhost.", "", True),
        ("127.0.0.1", "", True),
        ("127.1", "", True),
        ("0x7f.1", "", True),
        ("2130706433", "", True),
        ("0.0.0.0", "", True),  # noqa: S104
        ("[::1]", "", True),
        ("[0:0:0:0:0:0:0:1]", "", True),
        ("[::ffff:127.0.0.1]", "", True),
        ("127.1.example", "", False),
        ("128.1", "", False),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it_and_this_machine_is_always_direct(
    host: str, names: str, is_direct: bool
) -> None:
    assert is_direct == (proxy_for(f"https://{host}/", {"HTTPS_PROXY": PROXY, "NO_PROXY": names}) is None)


@pytest.mark.parametrize(
    "value",
    [
        "socks5://proxy.example:1080",
        "http://",
        "http://proxy.example:port",
        "http://a b:1",
        "http://proxy:0",
        "http://me:42/0123@proxy.example:3128",
        "me:42?0123@proxy.example:3128",
        "http://me:42#0123@proxy.example:3128",
        "http://m\udcff:password@proxy.example:3128",
        "http://proxy\udcff.example:3128",
        "http://proxy..example:3128",
        f"http://{'p' * 64}.example:3128",
    ],
)
def test_a_variable_that_is_not_the_url_of_a_proxy_parks_and_is_named(value: str) -> None:
    with pytest.raises(Park) as raised:
        proxy_for(VENDOR, {"HTTPS_PROXY": value})
    assert "proxy_invalid" == raised.value.code
    assert "HTTPS_PROXY" in str(raised.value)
    assert value not in str(raised.value)


def test_the_credentials_of_a_proxy_are_redacted_and_not_part_of_its_name() -> None:
    found = proxy_for(VENDOR, {"HTTPS_PROXY": "http://me:the-proxy-password@[fd00::1]"})
    assert found is not None
    assert ("[fd00::1]:80", False) == (found.address, "the-proxy-password" in str(found))
    assert "the-proxy-password" not in redact(f"{found.authorization} the-proxy-password")


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://me:the-proxy-password@proxy.example:3128"}, "proxy.example:3128 (HTTPS_PROXY)"),
        ({"all_proxy": "https://proxy.example"}, "proxy.example:443 (all_proxy)"),
        ({"HTTPS_PROXY": "socks5://proxy.example"}, None),
    ],
)
def test_the_name_of_a_proxy_is_its_address_and_its_variable(environment: dict[str, str], name: str | None) -> None:
    assert name == proxy_name(VENDOR, environment)


def proxied(monkeypatch: pytest.MonkeyPatch, variable: str, url: str) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(variable, url)


@pytest.mark.anyio
async def test_a_request_goes_through_the_proxy_with_its_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[tuple[str, str | None]] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        requests.append((str(request.url.with_query(None)), request.headers.get("Proxy-Authorization")))
        return web.Response(body=b"{}")

    async with serving(handler) as url, http(SimulatedClock()) as client:
        proxied(monkeypatch, "http_proxy", url.replace("http://", "http://me:pass%40word@"))
        with await get(client, "http://vendor.example") as response:
            assert b"{}" == response.body
    assert [("http://vendor.example/data/", f"Basic {b64encode(b'me:pass@word').decode()}")] == requests


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [(407, Park, "proxy_credentials"), (403, Park, "proxy_refused"), (502, RetryLater, "proxy_failed")],
)
async def test_a_proxy_that_does_not_connect_is_reported_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: type[CollectorError], code: str
) -> None:
    async with tcp_server(sends(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)) as url:
        proxied(monkeypatch, "HTTPS_PROXY", url)
        error = await failure(kind, "https://vendor.example")
    assert code == error.code
    assert all(fact in str(error) for fact in ("HTTPS_PROXY", url.removeprefix("http://"), str(status)))


@pytest.mark.anyio
async def test_a_proxy_of_plain_http_that_requires_credentials_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(responding(status=407)) as url:
        proxied(monkeypatch, "http_proxy", url)
        error = await failure(Park, "http://vendor.example")
    assert ("proxy_credentials", True) == (error.code, "http_proxy" in str(error))


@pytest.mark.anyio
async def test_a_proxy_that_is_unreachable_is_reported_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    proxied(monkeypatch, "ALL_PROXY", "http://127.0.0.1:1")
    error = await failure(RetryLater, "https://vendor.example")
    assert ("proxy_unreachable", True, True) == (error.code, "127.0.0.1:1" in str(error), "ALL_PROXY" in error.advice)


@pytest.mark.anyio
async def test_a_proxy_with_an_unknown_name_is_reported_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    proxied(monkeypatch, "HTTPS_PROXY", "http://proxy.invalid:3128")
    error = await failure(RetryLater, "https://vendor.example")
    assert "proxy_unreachable" == error.code
    assert ("proxy.invalid:3128" in str(error), "vendor.example" in str(error)) == (True, False)


@pytest.mark.anyio
async def test_a_proxy_with_an_impossible_address_is_reported_as_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    proxied(monkeypatch, "HTTPS_PROXY", "http://256.1.1.1:3128")
    error = await failure(Park, "https://vendor.example")
    assert ("proxy_invalid", True) == (error.code, "HTTPS_PROXY" in str(error))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("converse", "scheme", "code"),
    [
        (sends(), "http", "proxy_failed"),
        (sends(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "http", "proxy_failed"),
        (sends_then_stalls(), "http", "proxy_timeout"),
        (sends(b"HTTP/1.1 400 No TLS\r\nContent-Length: 0\r\n\r\n"), "https", "proxy_tls"),
    ],
    ids=["closed", "not HTTP", "silent", "not TLS"],
)
async def test_a_server_that_is_not_a_proxy_is_not_reported_as_the_vendor(
    monkeypatch: pytest.MonkeyPatch, converse: Conversation, scheme: str, code: str
) -> None:
    async with at_once(converse) if scheme == "https" else tcp_server(converse) as url:
        proxied(monkeypatch, "HTTPS_PROXY", url.replace("http://", f"{scheme}://"))
        error = await failure(RetryLater, "https://vendor.example", limits=SHORT_TIMEOUT)
    assert (code, False) == (error.code, error.narrower)
    assert ("HTTPS_PROXY" in str(error), "vendor.example" in str(error)) == (True, False)
    assert "HTTPS_PROXY" in error.advice


@pytest.mark.anyio
async def test_the_certificates_of_a_proxy_and_of_a_vendor_behind_one_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with tcp_server(handshake(b"HTTP/1.1 200 OK\r\n\r\n")) as url:
        proxied(monkeypatch, "HTTPS_PROXY", url)
        error = await failure(Park, "https://vendor.example")
    assert ("certificate_untrusted", True) == (error.code, "vendor.example" in str(error))
    async with at_once(handshake()) as url:
        proxied(monkeypatch, "HTTPS_PROXY", url.replace("http://", "https://"))
        error = await failure(Park, "https://vendor.example")
    assert "proxy_certificate" == error.code
    assert ("HTTPS_PROXY" in str(error), "vendor.example" in str(error)) == (True, False)


@pytest.mark.anyio
async def test_a_vendor_that_closes_the_handshake_behind_a_proxy_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    async with tcp_server(sends(b"HTTP/1.1 200 OK\r\n\r\n")) as url:
        proxied(monkeypatch, "HTTPS_PROXY", url)
        error = await failure(RetryLater, "https://vendor.example")
    assert ("connect_failed", False) == (error.code, "None" in str(error))


@pytest.mark.anyio
async def test_a_status_of_plain_http_names_the_proxy_that_may_have_sent_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(responding(status=502)) as url:
        proxied(monkeypatch, "http_proxy", url)
        error = await failure(RetryLater, "http://vendor.example")
    assert ("http_502", True) == (error.code, "http_proxy" in str(error))


def handshake(*parts: bytes) -> Conversation:
    """Send the bytes, then begin TLS with a certificate of an unknown authority."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("vendor.example", "127.0.0.1").configure_cert(server)

    async def converse(stream: ByteStream) -> None:
        await sends(*parts)(stream)
        with suppress(ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream):
            await TLSStream.wrap(stream, server_side=True, ssl_context=server)

    return converse


@asynccontextmanager
async def at_once(converse: Conversation) -> AsyncIterator[str]:
    """The URL of a server that converses without waiting for a request."""

    async def serve(stream: ByteStream) -> None:
        async with stream:
            await converse(stream)

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"  # noqa: S610 - of a socket
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_vendor_on_this_machine_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    proxied(monkeypatch, "http_proxy", "http://127.0.0.1:1")
    async with serving(responding()) as url, http(SimulatedClock()) as client:
        with await get(client, url) as response:
            assert b"{}" == response.body


@pytest.mark.anyio
async def test_credentials_of_a_netrc_file_are_not_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other-password\n", "utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    authorizations: list[str | None] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        authorizations.append(request.headers.get("Authorization"))
        return web.Response(body=b"{}")

    async with serving(handler) as url, http(SimulatedClock()) as client:
        with await get(client, url):
            pass
    assert [None] == authorizations
