"""Translation of failed requests into errors that name what the caller does next.

Errors of aiohttp end here: their texts contain URLs, and URLs contain keys.
"""

import os
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from collector.errors import OUT_OF_FILES, RAISE_FILE_LIMIT, NotFound, Park, RetryLater, Split
from collector.vendors.authorities import authority_advice
from collector.vendors.budget import BudgetExceeded
from collector.vendors.encodings import EncodingError
from collector.vendors.open_files import error_numbers, lacking_files
from collector.vendors.proxy import Proxy, invalid

CONNECT_TIMEOUT_S = 10
MAX_RETRY_AFTER_S = 3600.0
"""A longer Retry-After is shortened: the vendor has probably sent Unix time or milliseconds by mistake."""

MAX_HEADER_BYTES = 64 << 10
"""The largest status line, and the largest header, of a response: gateways add headers of several kilobytes."""
MAX_HEADERS = 1000
"""The most headers of a response."""

_TWO_LENGTHS = "it has both Content-Length and Transfer-Encoding"
_INVALID_RESPONSES = {
    "Got more than": ("response_headers", f"its status line or a header exceeds {MAX_HEADER_BYTES} bytes"),
    "Too many headers": ("response_headers", f"it has more than {MAX_HEADERS} headers"),
    "Transfer-Encoding can't be present": ("response_length", _TWO_LENGTHS),
    "Content-Length can't be present": ("response_length", _TWO_LENGTHS),
    "Duplicate Content-Length": ("response_length", "it has Content-Length twice"),
    "Invalid character in Content-Length": ("response_length", "its Content-Length is not a number"),
    "Invalid character in chunk size": ("response_length", "the size of a chunk is not a number"),
    "Invalid header": ("response_headers", "a header is not valid HTTP"),
    "Invalid HTTP header": ("response_headers", "a header is not valid HTTP"),
    "Bad status line": ("response_invalid", "its status line is not valid, or its body exceeds Content-Length"),
}
"""Code and reason by the start of aiohttp's message, which may contain text of the vendor and is not shown."""
_UNREADABLE = "check base_url: does this port serve the vendor's API?"
_UNREACHABLE = "check base_url, and whether this machine may connect to it"
_NOT_FOUND, _PROXY_AUTHENTICATION, _TOO_LARGE, _TOO_MANY = 404, 407, 413, 429
_READABLE = frozenset({200, 202, 203, 204})
_TRANSIENT = frozenset({408, 425, _TOO_MANY})


def raise_for_status(response: aiohttp.ClientResponse, now: datetime, proxy: Proxy | None = None) -> None:
    """Return for a status with a response to read; raise RetryLater, Split, Park or NotFound for others.

    Error codes: `http_<status>`. The caller distinguishes 202 (accepted, but not finished) and 204 (no content). 203
    is a 200 that a proxy has changed (RFC 9110, 15.3).
    """
    status = response.status
    reason, code = f"HTTP {status}", f"http_{status}"
    if proxy is not None and response.url.scheme == "http":  # the status may be the proxy's own
        reason += f" through {proxy}"
    if status in _READABLE:
        return
    if status == _PROXY_AUTHENTICATION:
        raise _proxy_error(status, proxy)
    if status == _TOO_LARGE:
        raise Split(reason, code=code)
    if status in _TRANSIENT or status >= 500:  # noqa: PLR2004 - errors of the server
        requested_s = retry_after_s(response.headers.get("Retry-After"), now)
        wait_s = min(requested_s, MAX_RETRY_AFTER_S)
        reason += f", with a request to wait {requested_s:.0f} s" if requested_s else ""
        reason += f", which is shortened to {wait_s:.0f} s" if wait_s < requested_s else ""
        raise RetryLater(reason, code=code, after_s=wait_s, throttled=status == _TOO_MANY)
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        target, advice = _redirect(response)
        raise Park(f"{reason}: a redirect{target}, which is not followed", code=code, advice=advice)
    advice = {
        401: "the key or token, or its user, is wrong: correct it; a changed file of a secret needs no restart",
        403: "the key has no access to this: check the user and the ids in the source's settings",
        404: "the vendor does not know this path: check base_url (scheme, host, path such as /api)",
    }.get(status, "the vendor rejects the request: check the source's settings")
    raise (NotFound if status == _NOT_FOUND else Park)(reason, code=code, advice=advice)


def _redirect(response: aiohttp.ClientResponse) -> tuple[str, str]:
    """A description of the redirect's target, and the advice. The target itself may contain the key."""
    try:
        to = urlsplit(response.headers.get("Location", ""))
    except ValueError:
        to = urlsplit("")
    if response.url.scheme == "http" and to.scheme == "https":
        return " to https", "use https in base_url"
    if to.path == response.url.raw_path + "/" or to.path + "/" == response.url.raw_path:
        return " to the same path with a different trailing slash", "check the path in base_url"
    return "", "check base_url: scheme, host and path"


def translate(  # noqa: C901, PLR0911 - a table
    error: Exception, url: str, timeout_s: float, proxy: Proxy | None = None, *, is_connected: bool = False
) -> RetryLater | Park:
    """The error to raise in place of one of aiohttp, the system or a decoder. Its text names the host, not the URL.

    `is_connected` is whether there was a connection to the vendor, through the proxy if there is one.
    """
    host = urlsplit(url).hostname or "the vendor"
    is_of_proxy = proxy is not None and _is_of_proxy(error, proxy, is_connected=is_connected)
    if number := lacking_files(error):
        reason = f"no connection to {proxy if is_of_proxy else host}: {os.strerror(number)}: {RAISE_FILE_LIMIT}"
        return RetryLater(reason, code=OUT_OF_FILES)
    if proxy is not None and is_of_proxy:
        return _translate_proxy_error(error, proxy, timeout_s)
    match error:
        case aiohttp.ConnectionTimeoutError():
            reason = f"no connection to {host} within {CONNECT_TIMEOUT_S} s"
            return RetryLater(reason, code="connect_timeout", advice=_UNREACHABLE)
        case TimeoutError():  # the response stalled, or takes too long in total: the next window is smaller
            reason = f"no response within the timeout of {timeout_s:g} s"
            return RetryLater(reason, code="response_timeout", narrower=True)
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            reason = f"the certificate of {host} is not trusted{_verify_message(error)}"
            advice = f"check base_url and the machine's clock; {authority_advice()}"
            return Park(reason, code="certificate_untrusted", advice=advice)
        case aiohttp.ClientConnectorSSLError():
            advice = "check base_url: does this port use https?"
            return RetryLater(f"the TLS handshake with {host}:{error.port} failed", code="tls_failed", advice=advice)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return Park("base_url is not a valid URL", code="url_invalid", advice="check base_url")
        case aiohttp.ClientConnectorError():
            through = f" through {proxy}" if proxy else ""
            reason = f"no connection to {host}:{error.port}{through}: {_os_reason(error.os_error)}"
            return RetryLater(reason, code="connect_failed", advice=_UNREACHABLE)
        case aiohttp.ClientPayloadError():
            return RetryLater(f"{host} closed the connection during its response", code="response_incomplete")
        case aiohttp.ClientResponseError() | HttpProcessingError() | EncodingError() | BudgetExceeded():
            return _invalid_response(error, host)
        case _:
            return RetryLater(f"no response from {host}: {type(error).__name__}", code="no_response")


def _invalid_response(
    error: aiohttp.ClientResponseError | HttpProcessingError | EncodingError | BudgetExceeded, host: str
) -> RetryLater:
    """The error for a response that aiohttp rejects, that exceeds its budget, or that cannot be decoded."""
    match error:
        case EncodingError():
            code, reason = "response_encoding", str(error)
        case BudgetExceeded():
            code, reason = error.code, str(error)
        case _:
            default = "response_invalid", "it is not valid HTTP"
            matches = (cause for start, cause in _INVALID_RESPONSES.items() if error.message.startswith(start))
            code, reason = next(matches, default)
    narrower = isinstance(error, BudgetExceeded) and error.narrower
    reason = f"the response of {host} cannot be read: {reason}"
    return RetryLater(reason, code=code, advice=_UNREADABLE, narrower=narrower)


def _is_of_proxy(error: Exception, proxy: Proxy, *, is_connected: bool) -> bool:
    """Whether a request failed between this machine and the proxy, and not behind it."""
    if isinstance(error, aiohttp.ClientConnectorError):
        address = URL(proxy.url)
        return (error.host, error.port) == (address.raw_host, address.port)
    return not is_connected


def _translate_proxy_error(  # noqa: PLR0911 - a table
    error: Exception, proxy: Proxy, timeout_s: float
) -> RetryLater | Park:
    """The error for a failure between this machine and the proxy, which names the proxy and its variable."""
    advice = _check_variable(proxy)
    match error:
        case aiohttp.ClientHttpProxyError():
            return _proxy_error(error.status, proxy)
        case aiohttp.ConnectionTimeoutError():
            reason = f"no connection to {proxy} within {CONNECT_TIMEOUT_S} s"
            return RetryLater(reason, code="proxy_unreachable", advice=advice)
        case TimeoutError():
            reason = f"{proxy} does not respond within the timeout of {timeout_s:g} s"
            return RetryLater(reason, code="proxy_timeout", advice=advice)
        case aiohttp.ClientConnectorCertificateError():
            reason = f"the certificate of {proxy} is not trusted{_verify_message(error)}"
            return Park(reason, code="proxy_certificate", advice=f"{advice}; {authority_advice()}")
        case aiohttp.ClientConnectorSSLError():
            advice += ": most proxies have a URL with http, also for vendors with https"
            return RetryLater(f"the TLS handshake with {proxy} failed", code="proxy_tls", advice=advice)
        case aiohttp.InvalidURL():
            return invalid(proxy.variable)
        case aiohttp.ClientConnectorError():
            reason = f"no connection to {proxy}: {_os_reason(error.os_error)}"
            return RetryLater(reason, code="proxy_unreachable", advice=advice)
        case BudgetExceeded():
            reason = f"the response of {proxy} cannot be read: {error}"
            return RetryLater(reason, code="proxy_failed", advice=advice)
        case _:
            reason = f"{proxy} does not respond as an HTTP proxy does"
            return RetryLater(reason, code="proxy_failed", advice=advice)


def _proxy_error(status: int, proxy: Proxy | None) -> RetryLater | Park:
    """The error for a status that a proxy sent instead of connecting to the vendor."""
    name = str(proxy or "a proxy")
    if status == _PROXY_AUTHENTICATION:
        advice = f"{_check_variable(proxy)}: expected a URL such as http://user:password@proxy.example:3128"
        return Park(f"{name} requires a user and a password (HTTP {status})", code="proxy_credentials", advice=advice)
    reason = f"{name} does not connect to the vendor (HTTP {status})"
    if status in _TRANSIENT or status >= 500:  # noqa: PLR2004 - errors of the server
        return RetryLater(reason, code="proxy_failed", advice=_check_variable(proxy))
    advice = f"allow the vendor's host at the proxy, or add it to NO_PROXY; {_check_variable(proxy)}"
    return Park(reason, code="proxy_refused", advice=advice)


def _check_variable(proxy: Proxy | None) -> str:
    return f"check the environment variable {proxy.variable}" if proxy else "check the network: no proxy is configured"


def _os_reason(error: OSError) -> str:
    numbers = error_numbers(error)
    if numbers and min(numbers) > 0:
        return ", ".join(dict.fromkeys(map(os.strerror, numbers)))
    return error.strerror or "closed before the end of the TLS handshake"  # name resolution has negative numbers


def _verify_message(error: Exception) -> str:
    """OpenSSL's reason to reject a certificate, in parentheses; empty if there is none."""
    cause = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error
    return f" ({cause.verify_message})" if isinstance(cause, ssl.SSLCertVerificationError) else ""


def retry_after_s(header: str | None, now: datetime) -> float:
    """Seconds of a Retry-After header in either form (RFC 9110, 10.2.3); 0 if it is missing or invalid."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(header.strip()[:20])
    until = parse_http_date(header)
    return 0.0 if until is None else max(0.0, (until - now).total_seconds())


def parse_http_date(header: str) -> datetime | None:
    """The instant in UTC; None if the header is not a date."""
    try:
        parsed = parsedate_to_datetime(header)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
