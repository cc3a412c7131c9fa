"""A client of a schema registry with Confluent's HTTP API, for JSON schemas.

Confluent Schema Registry, Karapace, Redpanda and Apicurio Registry (below `/apis/ccompat/v7`) serve this API. A request
that fails raises RetryLater or NeedsOperator, with advice; `failures.py` has the texts.
"""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aiohttp
import anyio
from aiohttp.http import HttpProcessingError
from msgspec import Struct

from collector.errors import CollectorError, NeedsOperator, RetryLater
from collector.registry.compatibility import Compatibility
from collector.registry.failures import (
    SchemaRejected,
    error_code,
    explain,
    message,
    not_the_api,
    raise_for_status,
    too_large,
)
from collector.secrets import Secret
from collector.settings import can_carry_secrets
from collector.telemetry.registry import RequestOutcome
from collector.vendors.http import Attempt
from collector.vendors.plain_session import json_of, plain_session, read_body
from collector.vendors.proxy import proxy_for, request_arguments

TIMEOUT_S = 30.0
"""The longest duration of a request. A registry that elects a leader responds within seconds."""
MAX_RESPONSE_BYTES = 4 << 20
"""The largest response: schemas have up to 20 KiB, and the error of a refused one may contain two of them."""
_CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
_UNKNOWN = frozenset({40401, 40402, 40403, 40408})
"""Error codes of HTTP 404: no such subject, version or schema, and no compatibility of the subject's own."""
_REJECTED = frozenset({409, 422})
"""The status of a schema that is incompatible with an earlier one, and of one that is invalid."""


OnRequest = Callable[[RequestOutcome], None]
"""Is called with the outcome of each request."""


class Credentials(Struct, frozen=True):
    """A user of the registry. The password is read for each request: it may change."""

    username: str
    password: Secret

    def header(self) -> str:
        """The value of the header Authorization. Raises UserError or RetryLater as `Secret.reveal` does."""
        basic = b64encode(f"{self.username}:{self.password.reveal()}".encode()).decode()
        return f"Basic {self.password.register(basic)}"


class RegisteredSchema(Struct, frozen=True):
    """A version of a subject."""

    id: int
    """The number of the schema in the registry. Equal schemas of several subjects share it."""
    version: int | None
    """Counts the versions of the subject, from 1; None if the registry has not reported it yet."""
    schema: str
    """The schema, as JSON."""
    guid: UUID | None = None
    """Identifies the schema in all registries; None if the registry knows no GUIDs, as those before Confluent's 8.0."""


class SchemaRegistry:
    """A registry. Each method raises RetryLater or NeedsOperator when the registry does not fulfil a request."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        credentials: Credentials | None = None,
        on_request: OnRequest = lambda _: None,
    ) -> None:
        self.url = url
        self._on_request = on_request
        self._session = session
        self._credentials = credentials

    async def compatibility(self, subject: str) -> str | None:
        """The compatibility of the subject; None if it has none of its own, so that the registry's default applies."""
        response = await self._request("GET", f"/config/{_quoted(subject)}", may_be_unknown=True)
        return None if response is None else _field(response, "compatibilityLevel", str, self.url)

    async def set_compatibility(self, subject: str, compatibility: Compatibility) -> None:
        """Set the compatibility of the subject, which need not exist yet."""
        await self._request("PUT", f"/config/{_quoted(subject)}", {"compatibility": compatibility.value})

    async def find(self, subject: str, schema: Mapping[str, Any]) -> RegisteredSchema | None:
        """The version of the subject that is this schema; None if there is none."""
        content = _json_schema(schema)
        response = await self._request("POST", f"/subjects/{_quoted(subject)}", content, may_be_unknown=True)
        return None if response is None else self._registered(response)

    async def latest(self, subject: str) -> RegisteredSchema | None:
        """The latest version of the subject; None if there is none."""
        response = await self._request("GET", f"/subjects/{_quoted(subject)}/versions/latest", may_be_unknown=True)
        return None if response is None else self._registered(response)

    async def register(self, subject: str, schema: Mapping[str, Any]) -> RegisteredSchema:
        """Make the schema the latest version of the subject, unless it is one already; return that version.

        Raises SchemaRejected when it is invalid or not compatible with the versions before.
        """
        content = _json_schema(schema)
        response = await self._request("POST", f"/subjects/{_quoted(subject)}/versions", content)
        schema_id = _schema_id(response, self.url)
        # Only new registries respond with the version. Another instance may not know the schema at once.
        found = await self.find(subject, schema)
        return RegisteredSchema(schema_id, found.version if found else None, content["schema"], _guid(response))

    async def _request(
        self, method: str, path: str, content: Mapping[str, Any] | None = None, *, may_be_unknown: bool = False
    ) -> Any:  # noqa: ANN401 - JSON
        """Send a request; return the JSON of its response, or None for what the registry does not know."""
        try:
            decoded = await self._exchange(method, path, content, may_be_unknown=may_be_unknown)
        except RetryLater:
            self._on_request("unavailable")
            raise
        except (NeedsOperator, SchemaRejected):
            self._on_request("refused")
            raise
        self._on_request("ok")
        return decoded

    async def _exchange(
        self, method: str, path: str, content: Mapping[str, Any] | None, *, may_be_unknown: bool
    ) -> Any:  # noqa: ANN401 - JSON
        status, body = await self._send(method, path, content)
        decoded = json_of(body)
        if may_be_unknown and status == 404 and error_code(decoded) in _UNKNOWN:  # noqa: PLR2004 - not found
            return None
        if status in _REJECTED and method == "POST":
            raise SchemaRejected(message(decoded) or f"HTTP {status}", code=f"http_{status}")
        raise_for_status(status, decoded, self.url, has_credentials=self._credentials is not None)
        if not isinstance(decoded, dict):
            raise not_the_api(self.url, "its response is not a JSON object")
        return decoded

    async def _send(self, method: str, path: str, content: Mapping[str, Any] | None) -> tuple[int, bytes]:
        """The status and the body of the response."""
        url, proxy, attempt = self.url + path, proxy_for(self.url), Attempt()
        headers = {"Content-Type": _CONTENT_TYPE} if content is not None else {}
        if self._credentials is not None:
            headers["Authorization"] = self._credentials.header()
        failure: CollectorError
        try:
            with anyio.fail_after(TIMEOUT_S):
                async with self._session.request(
                    method,
                    url,
                    data=None if content is None else json.dumps(content).encode(),
                    allow_redirects=False,
                    trace_request_ctx=attempt,
                    **request_arguments(proxy, url, headers),
                ) as response:
                    return response.status, await _read(response, self.url)
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            failure = explain(error, self.url, TIMEOUT_S, proxy, is_connected=attempt.is_connected)
        raise failure  # not above: its context would be the original error

    def _registered(self, response: Mapping[str, Any]) -> RegisteredSchema:
        return RegisteredSchema(
            _schema_id(response, self.url),
            _field(response, "version", int, self.url),
            _field(response, "schema", str, self.url),
            _guid(response),
        )


@asynccontextmanager
async def schema_registry(
    url: str, credentials: Credentials | None = None, on_request: OnRequest = lambda _: None
) -> AsyncIterator[SchemaRegistry]:
    """A client of the registry at this URL; its connections are closed at the end. `on_request` is called after each.

    Raises NeedsOperator for credentials that would be sent over plain http to another machine.
    """
    if credentials is not None and not can_carry_secrets(url, insecure_http=False):
        raise NeedsOperator(
            "plain http exposes the password of the schema registry",
            code="registry_insecure",
            advice="use an https URL, or no user",
        )
    async with plain_session({"Accept": f"{_CONTENT_TYPE}, application/json"}) as session:
        yield SchemaRegistry(session, url, credentials, on_request)


async def _read(response: aiohttp.ClientResponse, url: str) -> bytes:
    """The body. Raises NeedsOperator when it is too large."""
    body = await read_body(response, MAX_RESPONSE_BYTES)
    if body is None:
        raise too_large(url, MAX_RESPONSE_BYTES)
    return body


def _field(response: Mapping[str, Any], name: str, kind: type[Any], url: str) -> Any:  # noqa: ANN401 - JSON
    """A field of a response. Raises NeedsOperator if it is missing or of another type."""
    value = response.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise not_the_api(url, f"its response has no valid `{name}`")
    return value


def _schema_id(response: Mapping[str, Any], url: str) -> int:
    """The id of a schema. Raises NeedsOperator unless it has at most 31 bits: clients read it as a signed integer."""
    schema_id: int = _field(response, "id", int, url)
    if not 0 <= schema_id < 1 << 31:
        raise not_the_api(url, f"its id {schema_id} does not fit into four bytes")
    return schema_id


def _guid(response: Mapping[str, Any]) -> UUID | None:
    try:
        return UUID(response["guid"])
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def _json_schema(schema: Mapping[str, Any]) -> dict[str, str]:
    """The schema as registries expect it: JSON within JSON.

    Registries compare texts: another order of keys, or other spaces, would be another version.
    """
    return {"schemaType": "JSON", "schema": json.dumps(schema, separators=(",", ":"))}


def _quoted(subject: str) -> str:
    return quote(subject, safe="")
