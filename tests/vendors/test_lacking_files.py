"""A request that fails because no file can be opened is reported as such, whatever cause its error shows."""

import errno
import os
import socket
import ssl
from collections.abc import Iterator

import aiohttp
import pytest
import trustme
from aiohttp.client_reqrep import ConnectionKey

from collector.errors import OUT_OF_FILES, RAISE_FILE_LIMIT, CollectorError, Park, RetryLater
from collector.vendors.failures import translate
from collector.vendors.http import http
from collector.vendors.open_files import MIN_FREE_FILES, is_file_limit_near
from tests.simulated import SimulatedClock
from tests.vendors.loopback import get, responding, serving

resource = pytest.importorskip("resource", reason="does not exist on Windows")

KEY = ConnectionKey("vendor.example", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
UNKNOWN_AUTHORITY, EXPIRED = 20, 10
"""Codes of OpenSSL (X509_V_ERR_…)."""


def certificate_error(code: int) -> Exception:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "a reason"
    return aiohttp.ClientConnectorCertificateError(KEY, error)


@pytest.fixture
def few_files() -> Iterator[None]:
    """Let only a few more files be opened."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/dev/fd"))  # noqa: PTH208
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + MIN_FREE_FILES // 2, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def translated(error: Exception) -> CollectorError:
    return translate(error, "https://vendor.example/api", 60)


HIDDEN = [
    certificate_error(UNKNOWN_AUTHORITY),
    aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(socket.EAI_NONAME, "Name or service not known")),
    aiohttp.ClientConnectorDNSError(KEY, OSError(errno.EINVAL, "Invalid argument")),
]
hidden_errors = pytest.mark.parametrize("error", HIDDEN, ids=["certificate", "name", "resolver"])


@hidden_errors
@pytest.mark.usefixtures("few_files")
def test_an_error_that_may_be_due_to_the_limit_of_open_files_is_reported_so(error: Exception) -> None:
    found = translated(error)
    assert isinstance(found, RetryLater)
    assert OUT_OF_FILES == found.code
    assert RAISE_FILE_LIMIT in str(found)


@hidden_errors
def test_the_same_error_keeps_its_cause_while_files_can_be_opened(error: Exception) -> None:
    assert not is_file_limit_near()
    assert OUT_OF_FILES != translated(error).code


@pytest.mark.usefixtures("few_files")
def test_a_certificate_that_is_wrong_in_itself_keeps_its_cause() -> None:
    found = translated(certificate_error(EXPIRED))
    assert isinstance(found, Park)
    assert "certificate_untrusted" == found.code


def test_one_of_several_addresses_is_enough() -> None:
    """The errors of a host's addresses are combined in the text of one error."""
    numbers = (errno.ENETUNREACH, errno.EMFILE)
    text = ", ".join(str(OSError(number, os.strerror(number))) for number in numbers)
    found = translated(aiohttp.ClientConnectorError(KEY, OSError(f"Multiple exceptions: {text}")))
    assert OUT_OF_FILES == found.code


def test_different_errors_of_several_addresses_are_all_named() -> None:
    numbers = (errno.ENETUNREACH, errno.ECONNREFUSED)
    text = ", ".join(str(OSError(number, os.strerror(number))) for number in numbers)
    found = translated(aiohttp.ClientConnectorError(KEY, OSError(f"Multiple exceptions: {text}")))
    assert "connect_failed" == found.code
    assert all(os.strerror(number) in str(found) for number in numbers)


@pytest.mark.anyio
async def test_a_handshake_without_files_for_authorities_is_retried() -> None:
    """OpenSSL treats a file of an authority that it cannot open as missing."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(server)
    async with serving(responding(), server) as url, http(SimulatedClock()) as client:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = len(os.listdir("/dev/fd"))  # noqa: PTH208
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + MIN_FREE_FILES // 2, before[1]))
        try:
            with pytest.raises(RetryLater) as raised:
                await get(client, url.replace("http:", "https:"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert OUT_OF_FILES == raised.value.code
