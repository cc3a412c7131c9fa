"""The certificate authorities that vendors' certificates are verified with, as the environment selects them.

OpenSSL reads `SSL_CERT_FILE` and `SSL_CERT_DIR`. It ignores a value that it cannot use.
"""

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path

_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
"""The name under which OpenSSL looks up an authority in a directory."""


def authority_advice(environment: Mapping[str, str] = os.environ) -> str:
    """What to do about a certificate of an unknown authority: it names the variable that is wrong, if one is."""
    problems = (("SSL_CERT_FILE", _file_problem), ("SSL_CERT_DIR", _directory_problem))
    for variable, problem_of in problems:
        if variable in environment and (problem := problem_of(environment[variable])):
            return f"the environment variable {variable} {problem}: correct it, or unset it"
    return "if the authority is private, set SSL_CERT_FILE to a PEM file that contains its certificate"


def _file_problem(path: str) -> str | None:
    if not path:
        return "is empty"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "names a file that contains no valid certificate in PEM format"
    except (OSError, ValueError) as error:
        return f"names a file that cannot be read ({getattr(error, 'strerror', None) or 'invalid path'})"
    return None


def _directory_problem(paths: str) -> str | None:
    """OpenSSL accepts several directories, separated by colons."""
    try:
        names = [entry.name for path in paths.split(":") if path for entry in Path(path).iterdir()]
    except (OSError, ValueError) as error:
        return f"names a directory that cannot be read ({getattr(error, 'strerror', None) or 'invalid path'})"
    if any(map(_HASHED.fullmatch, names)):
        return None
    return "names no directory with certificates that `openssl rehash` has prepared"
