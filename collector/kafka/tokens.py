"""Tokens for the mechanism OAUTHBEARER (RFC 7628, KIP-255): where they come from, and how long one is used.

All clients of the process that have the same configuration share one `Tokens`. A token that cannot be had raises
TokenUnavailable within the clients, which treat it as a broker that cannot be reached; `diagnose` reports its cause.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache, partial
from importlib import import_module
from time import monotonic, time

import anyio
import anyio.to_thread
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError

from collector.authorization.client_credentials import Client, IssuedToken, TokenRequestFailed, request_token
from collector.errors import KafkaMisconfigured, RetryLater, UserError
from collector.kafka import token_causes
from collector.kafka.sasl import Sasl
from collector.redaction import PassingSecret
from collector.secrets import Secret

MIN_LEFT = 0.2
"""A token is replaced when less of its lifetime is left: 20 %, as Java's clients do."""
MIN_LEFT_S = 30.0
"""It is replaced when less than this is left, but not before half of its lifetime: a connection lasts no longer than
the token with which it began, and a transaction should fit into it."""
RETRY_S = 2.0
"""After a failure, all requests fail for this long: there is a client for each state partition, and each retries."""
MIN_REFUSED_AGE_S = 10.0
"""The least age of a token that is replaced because a broker has refused it: new ones would be refused as well."""

_AWS_SIGNER = "aws_msk_iam_sasl_signer.MSKAuthTokenProvider"


class TokenUnavailable(KafkaError):  # type: ignore[misc]  # noqa: N818 - named by what happened
    """There is no token. A KafkaError, because aiokafka's clients handle no others while they connect."""

    def __init__(self, cause: KafkaMisconfigured) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Tokens(AbstractTokenProvider):  # type: ignore[misc]
    """The tokens of one configuration."""

    def __init__(
        self,
        obtain: Callable[[], Awaitable[IssuedToken]],
        clock: Callable[[], float] = monotonic,
        extensions: Mapping[str, str] | None = None,
    ) -> None:
        """`obtain` requests a new token; it raises KafkaMisconfigured. `clock` returns seconds."""
        self._obtain = obtain
        self._clock = clock
        self._extensions = extensions or {}
        self._lock = anyio.Lock()
        self._secret = PassingSecret()
        self._text = ""
        self._obtained_at = 0.0
        self._use_until = 0.0
        self._failure: KafkaMisconfigured | None = None
        self._retry_at = 0.0

    async def token(self) -> str:
        """A token that can be used now. Concurrent calls request one new token. Raises TokenUnavailable.

        A token of unknown lifetime is used once: a file is read again for each connection.
        """
        async with self._lock:
            if self._clock() < self._use_until:
                return self._text
            if self._failure is not None and self._clock() < self._retry_at:
                raise TokenUnavailable(self._failure)
            try:
                issued = await self._obtain()
            except KafkaMisconfigured as error:
                self._failure, self._retry_at = error, self._clock() + RETRY_S
                raise TokenUnavailable(error) from error
            self._failure, self._text = None, self._secret.register(issued.text)
            self._obtained_at = self._use_until = self._clock()
            if issued.lifetime_s is not None:
                self._use_until += usable_s(issued.lifetime_s)
            return self._text

    def extensions(self) -> Mapping[str, str]:
        """The SASL extensions that the client library sends with each token (RFC 7628, 3.1; KIP-342)."""
        return self._extensions

    def refused(self) -> bool:
        """A broker has refused the last token: do not use it again. Returns whether it has expired, by its `exp`."""
        if self._clock() - self._obtained_at > MIN_REFUSED_AGE_S:
            self._use_until = 0.0
        return (lifetime_s := lifetime_of(self._text)) is not None and lifetime_s <= 0


def usable_s(lifetime_s: float) -> float:
    """How long a new token is used, in seconds."""
    return lifetime_s - max(MIN_LEFT * lifetime_s, min(lifetime_s / 2, MIN_LEFT_S))


def lifetime_of(token: str) -> float | None:
    """The seconds until the `exp` of a JSON Web Token (RFC 7519), which is not verified; None for any other text."""
    try:
        payload = token.split(".")[1]
        expires_at = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        return float(expires_at) - time()
    except (IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
        return None


@lru_cache(maxsize=8)
def tokens_of(sasl: Sasl) -> Tokens:
    """The tokens that all clients with this configuration share. Raises KafkaMisconfigured if the extra is missing."""
    return Tokens(_source(sasl), extensions=dict(sasl.extensions or ()))


def _source(sasl: Sasl) -> Callable[[], Awaitable[IssuedToken]]:
    """What requests a new token."""
    if sasl.token is not None:
        return partial(_from_file, sasl.token)
    if sasl.aws_region is not None:
        return partial(_from_aws, _aws_signer(), sasl.aws_region)
    if sasl.token_url is None or sasl.client_id is None or sasl.client_secret is None:
        raise ValueError("[kafka.sasl] has no source of tokens: its validation excludes that")
    return partial(_by_client_credentials, Client(sasl.token_url, sasl.client_id, sasl.client_secret, sasl.scope))


async def _from_file(secret: Secret) -> IssuedToken:
    try:
        return IssuedToken(secret.read())
    except (RetryLater, UserError) as error:
        raise token_causes.token_unreadable(error) from None


async def _by_client_credentials(client: Client) -> IssuedToken:
    try:
        issued = await request_token(client)
    except TokenRequestFailed as error:
        raise token_causes.no_token(error) from None
    if issued.lifetime_s is None:
        return IssuedToken(issued.text, lifetime_of(issued.text))
    return issued


def _aws_signer() -> Callable[[str], tuple[str, int]]:
    """The function that signs a token for a region, and returns it with its end in Unix milliseconds."""
    try:
        generate: Callable[[str], tuple[str, int]] = import_module(_AWS_SIGNER).generate_auth_token
    except ImportError:
        raise token_causes.aws_extra_missing() from None
    return generate


async def _from_aws(generate: Callable[[str], tuple[str, int]], region: str) -> IssuedToken:
    """Signed on this machine, in a thread: the credentials may be requested from AWS."""
    try:
        text, expires_ms = await anyio.to_thread.run_sync(generate, region, abandon_on_cancel=True)
    except Exception as error:  # noqa: BLE001 - botocore has hundreds, and the signer's own is an AttributeError
        raise token_causes.aws_credentials(error) from None
    return IssuedToken(text, expires_ms / 1000 - time())
