"""Requests for tokens over real HTTP: what is sent, what is accepted, and what each failure is reported as."""

from base64 import b64decode
from pathlib import Path

import anyio
import pytest
from aiohttp import web

from collector.authorization import client_credentials
from collector.authorization.client_credentials import Client, IssuedToken, TokenRequestFailed, request_token
from collector.redaction import REDACTED, redact
from collector.secrets import Secret
from tests.kafka.broker import free_port
from tests.vendors.loopback import Handler, serving

pytestmark = pytest.mark.anyio

SECRET = "client+secret/of:the%client"
JSON = "application/json"


def client(url: str, *, scope: str | None = None, secret: object = SECRET) -> Client:
    return Client(url, "me:and more", Secret.model_validate(secret), scope)


def responding(status: int, body: str, **headers: str) -> Handler:
    async def respond(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=body, content_type=JSON, headers=headers)

    return respond


async def failure(handler: Handler) -> TokenRequestFailed:
    async with serving(handler) as url:
        with pytest.raises(TokenRequestFailed) as raised:
            await request_token(client(url))
    assert SECRET not in str(raised.value)
    assert raised.value.__context__ is None
    return raised.value


@pytest.mark.parametrize("scope", [None, "kafka read"])
async def test_the_request_is_that_of_the_rfc(scope: str | None) -> None:
    seen: list[tuple[str, dict[str, object]]] = []

    async def issue(request: web.BaseRequest) -> web.Response:
        _, _, basic = request.headers["Authorization"].partition(" ")
        seen.append((b64decode(basic).decode(), dict(await request.post())))
        return web.json_response({"access_token": "issued-token", "token_type": "Bearer", "expires_in": 300})

    async with serving(issue) as url:
        assert IssuedToken("issued-token", 300) == await request_token(client(url, scope=scope))

    form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
    assert [("me%3Aand+more:client%2Bsecret%2Fof%3Athe%25client", form)] == seen
    assert REDACTED == redact(SECRET)


@pytest.mark.parametrize(
    ("expires_in", "lifetime_s"),
    [
        ("300", 300),
        ('"300"', 300),
        ("299.5", 299.5),
        *((given, None) for given in ("null", "true", "0", "-1", '"soon"', "NaN", "Infinity", "1e400")),
        pytest.param(f"1{400 * '0'}", None, id="more than a float can hold"),
    ],
)
async def test_the_lifetime_is_a_number_or_not_known(expires_in: str, lifetime_s: float | None) -> None:
    body = f'{{"access_token": "issued-token", "expires_in": {expires_in}}}'
    async with serving(responding(200, body)) as url:
        assert IssuedToken("issued-token", lifetime_s) == await request_token(client(url))


@pytest.mark.parametrize(
    ("status", "body", "code", "facts"),
    [
        (401, '{"error": "invalid_client"}', "token_request_refused", ("HTTP 401", "invalid_client")),
        (
            400,
            '{"error": "invalid_scope", "error_description": "no\\nscope"}',
            "token_request_refused",
            ("invalid_scope: no scope",),
        ),
        (403, "<html>", "token_request_refused", ("HTTP 403",)),
        (404, "", "token_request_refused", ("HTTP 404",)),
        (500, "{}", "token_server_failed", ("HTTP 500",)),
        (429, "{}", "token_server_failed", ("HTTP 429",)),
        (302, "", "token_request_refused", ("HTTP 302",)),
        (200, "<html>", "token_response_invalid", ("JSON",)),
        (200, "[]", "token_response_invalid", ("JSON",)),
        (200, "{}", "token_response_invalid", ("access_token",)),
        (200, '{"access_token": ""}', "token_response_invalid", ("access_token",)),
        (200, '{"access_token": "two words"}', "token_response_invalid", ("access_token",)),
        (200, '{"access_token": "a\\u0001auth=b"}', "token_response_invalid", ("access_token",)),
        (200, '{"access_token": 7}', "token_response_invalid", ("access_token",)),
        (200, " " * (client_credentials.MAX_RESPONSE_BYTES + 1), "token_response_invalid", ("256 KiB",)),
        (200, "[" * 100_000, "token_response_invalid", ("JSON",)),
    ],
)
async def test_each_other_response_is_an_error_with_its_reason(
    status: int, body: str, code: str, facts: tuple[str, ...]
) -> None:
    failed = await failure(responding(status, body, Location="/elsewhere"))

    assert (code, []) == (failed.code, [fact for fact in facts if fact not in str(failed)])
    assert failed.advice


async def test_a_server_that_repeats_the_secret_does_not_reveal_it() -> None:
    await failure(responding(401, f'{{"error": "invalid_client", "error_description": "{SECRET} is wrong"}}'))


async def test_a_long_message_is_cut() -> None:
    failed = await failure(responding(400, f'{{"error": "{"x" * 1000}"}}'))
    assert len(str(failed)) < client_credentials.MAX_MESSAGE + 100


async def test_a_server_that_is_away_is_unreachable() -> None:
    with pytest.raises(TokenRequestFailed) as raised:
        await request_token(client(f"http://127.0.0.1:{free_port()}/token"))
    assert ("token_server_unreachable", True) == (raised.value.code, "token_url" in raised.value.advice)


async def test_a_server_that_does_not_respond_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_credentials, "TIMEOUT_S", 0.2)

    async def hang(_: web.BaseRequest) -> web.Response:
        await anyio.sleep(5)
        return web.Response()

    failed = await failure(hang)
    assert "token_server_unreachable" == failed.code


async def test_a_secret_that_cannot_be_read_is_reported_as_that(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with pytest.raises(TokenRequestFailed) as raised:
        await request_token(client("http://127.0.0.1:1/token", secret={"file": str(path)}))
    assert ("client_secret_unreadable", True) == (raised.value.code, str(path) in str(raised.value))


async def test_a_proxy_that_is_no_url_is_reported_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://proxy.example")
    with pytest.raises(TokenRequestFailed) as raised:
        await request_token(client("https://login.example/token"))
    assert ("token_server_unreachable", True) == (raised.value.code, "https_proxy" in str(raised.value))
