"""`collector health`: whether the process of this machine lives. A container asks every few seconds, so it is light."""

import http.client
from pathlib import Path

from pydantic import ValidationError

from collector.errors import Failed, UserError
from collector.raw_config import environment, table
from collector.web.settings import HttpSettings

PATH = "/healthz"
TIMEOUT_S = 3.0
"""A loop that lives answers within milliseconds; and containers commonly wait for five seconds."""
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - whoever listens everywhere listens there too


def health(path: Path) -> None:
    """Return when it lives. Raises Failed when it does not, UserError when `http.listen` is none."""
    host, port = _address(path)
    host = _LOOPBACK.get(host, host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"
    asking = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)  # this one knows of no proxy
    try:
        asking.request("GET", PATH)
        status = asking.getresponse().status
    except TimeoutError as error:
        raise Failed(f"{url} does not answer within {TIMEOUT_S:g} s: restart the process") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise Failed(f"{url} does not answer ({reason}): is `collector run` there, with this http.listen?") from error
    finally:
        asking.close()
    if status != http.client.OK:
        raise Failed(f"{url} answers HTTP {status}: does another program have this http.listen?")


def _address(path: Path) -> tuple[str, int]:
    """Of the environment or, where that does not say it, of the file: no other key has to be right."""
    for read in (environment, lambda: table(path)):
        section = read().get("http")
        listen = section.get("listen") if isinstance(section, dict) else None
        if listen is not None:
            try:
                return HttpSettings(listen=listen).address
            except ValidationError:
                raise UserError("http.listen: expected host:port, such as 127.0.0.1:9464") from None
    return HttpSettings().address
