"""Requests a token by client credentials (RFC 6749, 4.4).

The client authenticates itself with HTTP Basic, which every server must support (2.3.1). A request that fails raises
TokenRequestFailed, with advice. No text of it contains the secret or the token.
"""

from base64 import b64encode
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import aiohttp
import anyio
from aiohttp.http import HttpProcessingError
from msgspec import Struct

from collector.errors import OUT_OF_FILES, NeedsOperator, Park, RetryLater, UserError
from collector.redaction import redact
from collector.secrets import Secret
from collector.vendors.authorities import authority_advice
from collector.vendors.failures import translate
from collector.vendors.http import Attempt
from collector.vendors.plain_session import json_of, one_line, plain_session, read_body
from collector.vendors.proxy import Proxy, proxy_for, request_arguments

TIMEOUT_S = 10.0
"""The longest duration of a request: a server that issues a token computes one signature."""
MAX_RESPONSE_BYTES = 256 << 10
"""The largest response. Tokens with many groups and roles have some kilobytes."""
MAX_LIFETIME_S = 1e12
"""A longer lifetime is not that of a token. JSON has numbers that no float can hold."""
MAX_MESSAGE = 300
"""Characters of the server's own message that are shown."""
_TRANSIENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_CHECK_URL = "check kafka.sasl.token_url: it is the token endpoint, for Keycloak …/protocol/openid-connect/token"


class Client(Struct, frozen=True):
    """A client of an authorization server."""

    url: str
    """The token endpoint."""
    id: str
    secret: Secret
    """Read for each request: it may change."""
    scope: str | None = None


class IssuedToken(Struct, frozen=True):
    """A token."""

    text: str
    lifetime_s: float | None = None
    """How long it can be used from now on; None if that is not known."""


class TokenRequestFailed(NeedsOperator):
    """The server did not issue a token. Another request may succeed: the caller retries."""


async def request_token(client: Client) -> IssuedToken:
    """Request a new token. Raises TokenRequestFailed."""
    status, body = await _send(client)
    decoded = json_of(body)
    _raise_for_status(status, decoded, client)
    if not isinstance(decoded, dict):
        raise _invalid(client, "it is not a JSON object")
    text = decoded.get("access_token")
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or not text or " " in text:
        raise _invalid(client, "it has no valid `access_token`")
    return IssuedToken(text, _seconds(decoded.get("expires_in")))


async def _send(client: Client) -> tuple[int, bytes]:
    """The status and the body of the response."""
    attempt, failure = Attempt(), None
    proxy: Proxy | None = None
    form = {"grant_type": "client_credentials"} | ({"scope": client.scope} if client.scope else {})
    try:
        proxy = proxy_for(client.url)
        with anyio.fail_after(TIMEOUT_S):
            async with (
                plain_session({"Accept": "application/json"}) as session,
                session.post(
                    client.url,
                    data=urlencode(form).encode(),
                    allow_redirects=False,
                    trace_request_ctx=attempt,
                    **request_arguments(proxy, client.url, _headers(client)),
                ) as response,
            ):
                return response.status, await _read(response, client)
    except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
        failure = _explain(error, client, proxy, is_connected=attempt.is_connected)
    except (Park, RetryLater, UserError) as error:  # the proxy or the secret cannot be used
        failure = _unusable(error)
    raise failure  # not above: its context would be the original error


def _headers(client: Client) -> Mapping[str, str]:
    """Raises UserError or RetryLater as `Secret.reveal` does. Name and secret are encoded as in a form (2.3.1)."""
    basic = b64encode(f"{quote_plus(client.id)}:{quote_plus(client.secret.reveal())}".encode()).decode()
    return {
        "Authorization": f"Basic {client.secret.register(basic)}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


async def _read(response: aiohttp.ClientResponse, client: Client) -> bytes:
    body = await read_body(response, MAX_RESPONSE_BYTES)
    if body is None:
        raise _invalid(client, f"it exceeds {MAX_RESPONSE_BYTES >> 10} KiB")
    return body


def _raise_for_status(status: int, decoded: Any, client: Client) -> None:  # noqa: ANN401 - JSON
    """Return for a success. An error has `error` and `error_description` (RFC 6749, 5.2)."""
    if HTTPStatus(200) <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    own = _message(decoded)
    reason = f"the authorization server at {_host(client)} responds with HTTP {status}" + (f": {own}" if own else "")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT:
        advice = "read the server's log; the request is repeated until it succeeds"
        raise TokenRequestFailed(reason, advice=advice, code="token_server_failed")
    if status < HTTPStatus.BAD_REQUEST:
        advice = "redirects are not followed: set kafka.sasl.token_url to the URL to which it redirects"
    elif status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        advice = _CHECK_URL
    else:
        advice = "correct client_id, client_secret and scope in [kafka.sasl]; a changed secret needs no restart"
    raise TokenRequestFailed(reason, advice=advice, code="token_request_refused")


def _message(decoded: Any) -> str:  # noqa: ANN401 - JSON
    """The server's own error, on one line and without secrets; empty if there is none."""
    given = decoded if isinstance(decoded, dict) else {}
    texts = [text for key in ("error", "error_description") if isinstance(text := given.get(key), str)]
    line = redact(one_line(": ".join(texts)))
    return line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE]}…"


def _explain(error: Exception, client: Client, proxy: Proxy | None, *, is_connected: bool) -> TokenRequestFailed:
    failure = translate(error, client.url, TIMEOUT_S, proxy, is_connected=is_connected)
    advice = {
        "connect_failed": "check kafka.sasl.token_url, and whether this machine may connect to it",
        "connect_timeout": "check kafka.sasl.token_url, and whether this machine may connect to it",
        "response_timeout": "read the server's log; the request is repeated until it succeeds",
        "certificate_untrusted": f"check kafka.sasl.token_url and the machine's clock; {authority_advice()}",
        OUT_OF_FILES: failure.advice,
    }.get(failure.code, _CHECK_URL)
    if failure.code.startswith("proxy_") and proxy is not None:
        advice = f"check the environment variable {proxy.variable}, or add the server's host to NO_PROXY"
    reason = f"the authorization server cannot be used: {failure}"
    return TokenRequestFailed(reason, advice=advice, code="token_server_unreachable")


def _unusable(error: Park | RetryLater | UserError) -> TokenRequestFailed:
    if isinstance(error, Park):
        return TokenRequestFailed(str(error), advice=error.advice, code="token_server_unreachable")
    return secret_unreadable(error)


def secret_unreadable(error: RetryLater | UserError) -> TokenRequestFailed:
    """The error of a client's secret that cannot be read."""
    advice = error.advice if isinstance(error, RetryLater) else "provide kafka.sasl.client_secret"
    return TokenRequestFailed(str(error), advice=advice, code="client_secret_unreadable")


def _invalid(client: Client, reason: str) -> TokenRequestFailed:
    text = f"the response of the authorization server at {_host(client)} cannot be used: {reason}"
    return TokenRequestFailed(text, advice=_CHECK_URL, code="token_response_invalid")


def _seconds(given: object) -> float | None:
    """The lifetime in a response: a number, which some servers send as a string; None for anything else."""
    if isinstance(given, str) and given.isdecimal():
        given = int(given[:10])
    if not isinstance(given, int | float) or isinstance(given, bool):
        return None
    return float(given) if 0 < given <= MAX_LIFETIME_S else None


def _host(client: Client) -> str:
    return urlsplit(client.url).netloc
