"""What a request that failed means for the caller.

Foreign errors end here: their texts hold URLs, and URLs hold keys.
"""

import os
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp

from collector.errors import NotFound, Park, RetryLater, Split

CONNECT_S = 10
"""How long a connection may take."""
DAY_S = 86_400.0
"""The longest Retry-After that is taken at its word."""

_UNREACHED = "check base_url, and whether this machine may connect there"
_NOT_FOUND, _TOO_LARGE, _TOO_MANY = 404, 413, 429
_PASSING = frozenset({408, 425, _TOO_MANY})


def judge(response: aiohttp.ClientResponse, now: datetime) -> None:
    """Nothing for 200; else what the status means for the caller."""
    status = response.status
    if status == 200:  # noqa: PLR2004 - the one status with an answer
        return
    if status == _TOO_LARGE:
        raise Split(f"HTTP {status}")
    if status in _PASSING or status >= 500:  # noqa: PLR2004 - the server's own errors
        wait = retry_after_s(response.headers.get("Retry-After"), now)
        reason = f"HTTP {status}" + (f", asks to wait {wait:g} s" if wait else "")
        raise RetryLater(reason, after_s=wait, throttled=status == _TOO_MANY)
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        where, advice = _redirect(response)
        raise Park(f"HTTP {status}: a redirect{where}, which is not followed", advice=advice)
    advice = {
        401: "the key is wrong: correct it; the collector notices by itself",
        403: "the key may not read this: check the user and the ids in the source's settings",
        404: "the vendor does not know this path: check base_url (scheme, host, path such as /api)",
    }.get(status, "the vendor refuses the request as it is: check the source's settings")
    raise (NotFound if status == _NOT_FOUND else Park)(f"HTTP {status}", advice=advice)


def _redirect(response: aiohttp.ClientResponse) -> tuple[str, str]:
    """Where to, as far as it may be told (the rest holds the key, or is the vendor's own words), and what to do."""
    try:
        to = urlsplit(response.headers.get("Location", ""))
    except ValueError:
        to = urlsplit("")
    if response.url.scheme == "http" and to.scheme == "https":
        return " to https", "write base_url with https"
    if to.path == response.url.raw_path + "/" or to.path + "/" == response.url.raw_path:
        return " to the same path with another slash at its end", "check the path in base_url"
    return "", "check base_url: scheme, host and path"


def explained(error: Exception, url: str, silence_s: float) -> RetryLater | Park:
    host = urlsplit(url).hostname or "the vendor"
    match error:
        case aiohttp.ConnectionTimeoutError():
            trouble: RetryLater | Park = RetryLater(f"no connection to {host} within {CONNECT_S} s", advice=_UNREACHED)
        case TimeoutError():  # silence, or an answer that takes too long: less is asked for next time
            trouble = RetryLater(f"no answer within the timeout of {silence_s:g} s", narrower=True)
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            advice = "check base_url and the machine's clock, or add the authority to the machine's certificates"
            trouble = Park(f"the certificate of {host} is not trusted{_why(error)}", advice=advice)
        case aiohttp.ClientConnectorSSLError():
            advice = "check base_url: does this port speak https?"
            trouble = RetryLater(f"no TLS with {host}:{error.port}", advice=advice)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            trouble = Park("base_url is no URL that can be asked", advice="check base_url")
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno or 0  # names that are not found have numbers below zero, and a text
            reason = os.strerror(number) if number > 0 else error.os_error.strerror
            trouble = RetryLater(f"no connection to {host}:{error.port}: {reason}", advice=_UNREACHED)
        case aiohttp.ClientPayloadError():
            trouble = RetryLater(f"{host} broke off in the middle of its answer")
        case _:
            trouble = RetryLater(f"{host} did not answer: {type(error).__name__}")
    return trouble


def _why(error: Exception) -> str:
    """OpenSSL's word for what is wrong with a certificate."""
    found = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error
    return f" ({found.verify_message})" if isinstance(found, ssl.SSLCertVerificationError) else ""


def retry_after_s(header: str | None, now: datetime) -> float:
    """Seconds of a Retry-After header in either form (RFC 9110, 10.2.3); 0 without one or with one that is none."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(min(int(header.strip()[:20]), DAY_S))
    until = moment(header)
    return 0.0 if until is None else min(max(0.0, (until - now).total_seconds()), DAY_S)


def moment(header: str) -> datetime | None:
    try:
        written = parsedate_to_datetime(header)
        return written.astimezone(UTC) if written.tzinfo else written.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
