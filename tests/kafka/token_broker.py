"""A real Kafka that requires tokens and ends sessions after ten seconds, and an authorization server that issues them.

The tokens are unsecured JSON Web Tokens: the broker verifies their times, and no signature.
"""

import json
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from aiohttp import web

from tests.kafka.broker import Broker, Listener, free_port
from tests.kafka.secure_broker import PASSWORD, USER

SESSION_S = 10
CLIENT_ID, CLIENT_SECRET = "counting-client", "client+secret/of:the%client"
_JAAS = "org.apache.kafka.common.security"
_PROPERTIES = f"""
connections.max.reauth.ms={{session_ms}}
listener.name.tokens.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.tokens.oauthbearer.sasl.jaas.config={_JAAS}.oauthbearer.OAuthBearerLoginModule required;
listener.name.password.sasl.enabled.mechanisms=PLAIN
listener.name.password.plain.sasl.jaas.config={_JAAS}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";
"""


class TokenBroker(Broker):
    """One node. Clients of `token_address` send tokens, those of `password_address` a password; sessions end.

    `address` requires no authentication: it is for the tests themselves.
    """

    def __init__(self, home: Path, session_s: float = SESSION_S) -> None:
        super().__init__(home)
        self.token_address, self.password_address = (f"127.0.0.1:{free_port()}" for _ in range(2))
        listeners = {"TOKENS": self.token_address, "PASSWORD": self.password_address}
        self.configure(
            {name: Listener(address, address, "SASL_PLAINTEXT") for name, address in listeners.items()},
            _PROPERTIES.format(session_ms=int(session_s * 1000)),
        )


@contextmanager
def running(home: Path, session_s: float = SESSION_S) -> Iterator[TokenBroker]:
    """A broker that ends sessions after this time, and earlier with their tokens."""
    broker = TokenBroker(home, session_s)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


def jwt(lifetime_s: float = SESSION_S, subject: str = "collector") -> str:
    """An unsecured token that is valid for this time from now on."""
    now = time.time()
    parts: list[Mapping[str, Any]] = [
        {"alg": "none"},
        {"sub": subject, "iat": now - 1, "exp": now + lifetime_s, "id": time.time_ns()},
    ]
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


class AuthorizationServer:
    """Issues tokens by client credentials, or fails as `failure` says."""

    def __init__(self) -> None:
        self.port = free_port()
        self.failure: tuple[int, str] | None = None
        """The status and the body of each response; None to issue tokens."""
        self.lifetime_s: float = SESSION_S
        self.requests = 0
        self.issued: list[str] = []
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/oauth2/token"

    async def start(self) -> None:
        app = web.Application()
        app.add_routes([web.post("/oauth2/token", self._token)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def stop(self) -> None:
        """Accept no more connections, until `start`."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    async def _token(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.failure is not None:
            status, body = self.failure
            return web.Response(status=status, text=body, content_type="application/json")
        form = await request.post()
        kind, _, basic = request.headers.get("Authorization", "").partition(" ")
        given = [unquote_plus(part) for part in b64decode(basic).decode().split(":")]
        if ("Basic", [CLIENT_ID, CLIENT_SECRET]) != (kind, given) or form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "invalid_client"}, status=401)
        self.issued.append(jwt(self.lifetime_s))
        return web.json_response(
            {"access_token": self.issued[-1], "token_type": "Bearer", "expires_in": self.lifetime_s}
        )


@asynccontextmanager
async def issuing() -> AsyncIterator[AuthorizationServer]:
    server = AuthorizationServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def by_client_credentials(server: AuthorizationServer) -> dict[str, Any]:
    """The tables of `[kafka]` for tokens of this server."""
    keys = {"token_url": server.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return {"sasl": {"mechanism": "OAUTHBEARER", **keys}}


def by_file(path: Path) -> dict[str, Any]:
    """The tables of `[kafka]` for the token in this file."""
    return {"sasl": {"mechanism": "OAUTHBEARER", "token": {"file": path}}}
