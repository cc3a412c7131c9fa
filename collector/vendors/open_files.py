"""Recognizes requests that fail because too many files are open, also where the error shows another cause."""

import errno
import re
import ssl
import sys
from pathlib import Path

import aiohttp

from collector.errors import is_out_of_files

MIN_FREE_FILES = 8
"""With fewer files left, the cause of a failure may be that none could be opened: when the error is translated, the
connection that took the last one is closed, and other tasks may have closed some too."""

_EACH_NUMBER = re.compile(r"\[Errno ([0-9]+)\]")
_OPEN_FILES = Path("/dev/fd")
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's codes (X509_V_ERR_…) for a certificate whose authority is not among the known ones. OpenSSL reads those of
a directory (`SSL_CERT_DIR`) during the handshake, and treats a file that it cannot open as missing."""


def lacking_files(error: Exception) -> int | None:  # noqa: PLR0911 - a table
    """The error number, EMFILE or ENFILE, if a request failed because too many files are open; otherwise None.

    The system's resolver and OpenSSL report another cause when they cannot open a file. For their errors, the number of
    open files of this process decides.
    """
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as cause):
            return lacking_files(cause)
        case ssl.SSLCertVerificationError():
            return errno.EMFILE if error.verify_code in _UNKNOWN_AUTHORITY and is_file_limit_near() else None
        case aiohttp.ClientSSLError() | ssl.SSLError():  # they have numbers of their own
            return None
        case aiohttp.ClientConnectorDNSError() if is_file_limit_near():
            return errno.EMFILE
        case aiohttp.ClientConnectorError(os_error=cause):
            return next((number for number in error_numbers(cause) if number in _OUT_OF_FILES), None)
        case OSError() if is_out_of_files(error):
            return error.errno
        case _:
            return None


def error_numbers(error: OSError) -> list[int]:
    """The numbers of an error: several if a host has several addresses, whose connections fail for different causes."""
    if error.errno is not None:
        return [error.errno]
    return [int(number) for number in _EACH_NUMBER.findall(str(error))]


def is_file_limit_near() -> bool:
    """Whether fewer than `MIN_FREE_FILES` more files may be opened by this process."""
    if sys.platform == "win32":
        return False
    import resource  # noqa: PLC0415 - does not exist on Windows

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        return limit != resource.RLIM_INFINITY and sum(1 for _ in _OPEN_FILES.iterdir()) > limit - MIN_FREE_FILES
    except OSError as error:
        return is_out_of_files(error)
