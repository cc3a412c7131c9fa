"""Why a schema registry cannot be used, or refuses a schema: the errors, their texts and their advice."""

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from collector.errors import OUT_OF_FILES, CollectorError, NeedsOperator, RetryLater
from collector.vendors.authorities import authority_advice
from collector.vendors.failures import translate
from collector.vendors.plain_session import one_line
from collector.vendors.proxy import Proxy

MAX_MESSAGE = 300
"""Characters of the registry's own message that are shown: it may contain whole schemas."""
CHECK_URL = "check the URL: it is the address below which `/subjects` lies, for Apicurio https://host/apis/ccompat/v7"
_CHECK_LOG = "look into the registry's log, and try again"
_JAVA_CLASS = re.compile(r"^(?:[a-z]\w*\.)+[A-Z]\w*: ")
_OLD_SCHEMA = ", {oldSchema:"
"""Starts the part of Confluent's message that repeats the whole earlier schema."""
_TRANSIENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


INCOMPATIBLE = "http_409"


class SchemaRejected(CollectorError):  # noqa: N818 - named by what happened
    """The registry refuses the schema. The text is the registry's own reason.

    The code is `INCOMPATIBLE` if an earlier version is the reason; the schema may also be invalid, or the subject
    read-only.
    """


def explain(
    error: Exception, url: str, timeout_s: float, proxy: Proxy | None, *, is_connected: bool
) -> RetryLater | NeedsOperator:
    """The error to raise in place of one of aiohttp or the system."""
    failure = translate(error, url, timeout_s, proxy, is_connected=is_connected)
    advice = {
        "connect_failed": "check the URL, and whether the registry runs and this machine may connect to it",
        "connect_timeout": "check the URL, and whether the registry runs and this machine may connect to it",
        "response_timeout": _CHECK_LOG,
        "certificate_untrusted": f"check the URL and the machine's clock; {authority_advice()}",
        OUT_OF_FILES: failure.advice,
        "tls_failed": "check the URL: does this port use https?",
    }.get(failure.code, CHECK_URL)
    if failure.code.startswith("proxy_") and proxy is not None:
        advice = f"check the environment variable {proxy.variable}, or add the registry's host to NO_PROXY"
    reason = f"the schema registry cannot be used: {failure}"
    kind = RetryLater if isinstance(failure, RetryLater) else NeedsOperator
    return kind(reason, code=failure.code, advice=advice)


def raise_for_status(status: int, decoded: Any, url: str, *, has_credentials: bool) -> None:  # noqa: ANN401 - JSON
    """Return for a success; raise RetryLater or NeedsOperator for any other status. Error codes: `http_<status>`.

    Args:
        status: of the response.
        decoded: the JSON of its body; None if it is not JSON.
        url: of the registry.
        has_credentials: whether the request had a user and a password.

    """
    if HTTPStatus(200) <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    own = message(decoded)
    reason = f"the schema registry at {_host(url)} responds with HTTP {status}" + (f": {own}" if own else "")
    code = f"http_{status}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT:
        raise RetryLater(reason, code=code, advice=_CHECK_LOG)
    if status < HTTPStatus.BAD_REQUEST:
        advice = "redirects are not followed: use the URL to which it redirects"
    elif status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        advice = "this is a proxy: add its user and password to the environment variable that names it"
    elif status == HTTPStatus.UNAUTHORIZED:
        advice = "check the user and the password" if has_credentials else "it requires a user and a password"
    elif status == HTTPStatus.FORBIDDEN:
        advice = "allow the user to read and write these subjects, and to set their compatibility"
    elif status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        advice = CHECK_URL
    else:
        advice = "check the URL, and the mode of the registry: it must accept new schemas"
    raise NeedsOperator(reason, code=code, advice=advice)


def not_the_api(url: str, reason: str) -> NeedsOperator:
    """The error for a response that no schema registry sends."""
    text = f"{_host(url)} does not respond as a schema registry does: {reason}"
    return NeedsOperator(text, code="registry_response", advice=CHECK_URL)


def too_large(url: str, limit: int) -> NeedsOperator:
    """The error for a response that exceeds the limit of bytes."""
    return not_the_api(url, f"its response exceeds {limit >> 20} MiB")


def error_code(decoded: Any) -> int:  # noqa: ANN401 - JSON
    """The registry's own number of an error, such as 40401; 0 if there is none."""
    code = decoded.get("error_code") if isinstance(decoded, dict) else None
    return code if isinstance(code, int) else 0


def message(decoded: Any) -> str:  # noqa: ANN401 - JSON
    """The registry's own message, on one line, without names of Java classes and schemas; empty if there is none."""
    given = decoded.get("message") if isinstance(decoded, dict) else None
    if not isinstance(given, str):
        return ""
    text = _JAVA_CLASS.sub("", given.partition(_OLD_SCHEMA)[0])
    text = one_line(text)
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}…"


def _host(url: str) -> str:
    return urlsplit(url).netloc
