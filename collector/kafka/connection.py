"""How every client of this process reaches the brokers."""

import asyncio
import ssl
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio
from aiokafka.errors import KafkaError

from collector.errors import KafkaMisconfigured, UserError
from collector.kafka.refusal import refusal
from collector.kafka.settings import KafkaSettings, Sasl, Tls

T = TypeVar("T")

CLOSE_S = 5.0
"""How long a client may take to close before it is left to the collector of garbage."""
UNAVAILABLE = (KafkaError, OSError, TimeoutError)
"""What the clients raise while the brokers do not answer."""


class Stoppable(Protocol):
    """Any of aiokafka's that is stopped."""

    async def stop(self) -> None: ...


def reason_of(error: BaseException) -> str:
    """The error as a part of a sentence for an operator; a client's own text is a repr of its insides."""
    if isinstance(error, KafkaError):
        return f"Kafka's client reports {type(error).__name__}"
    if text := str(error):
        return text
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__


class Client(Protocol):
    """Any of aiokafka's."""

    async def start(self) -> None: ...


def options(settings: KafkaSettings) -> dict[str, Any]:
    """Arguments that aiokafka's clients have in common. Raises Refused for files or secrets that are not there.

    They are read now, and a client keeps to what it was given: whoever lives long looks at `credentials` too.
    """
    common: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in settings.bootstrap_servers.split(",")],
        "request_timeout_ms": int(settings.request_timeout_s * 1000),
        "client_id": "collector",
    }
    protocol = "SSL" if settings.tls else "PLAINTEXT"
    if settings.sasl:
        protocol = f"SASL_{protocol}"
        common |= {
            "sasl_mechanism": settings.sasl.mechanism,
            "sasl_plain_username": settings.sasl.username,
            "sasl_plain_password": _password(settings.sasl),
        }
    if settings.tls:
        common["ssl_context"] = _context(settings.tls)
    return common | {"security_protocol": protocol}


def credentials(settings: KafkaSettings) -> bytes:
    """A digest of the password and of the certificates as they are now: another one when any of them has changed."""
    found = blake2b(digest_size=16)
    if settings.sasl:
        found.update((settings.sasl.password.peek() or "").encode())
    for file in (settings.tls.ca_file, settings.tls.cert_file, settings.tls.key_file) if settings.tls else ():
        found.update(b"\0" + (_content(file) if file else b""))
    return found.digest()


async def start(client: Client, settings: KafkaSettings, within_s: float) -> None:
    """Start a client. Raises Refused when the brokers are there and do not let us in; else what the client raises."""
    try:
        with anyio.fail_after(within_s):
            await client.start()
    except UNAVAILABLE as error:
        # Without credentials there is nothing that a broker that let us in once could refuse later.
        refused = await refusal(settings, options(settings)) if settings.is_guarded else None
        raise refused or error from error


async def stop(client: Stoppable, within_s: float = CLOSE_S) -> bool:
    """Stop a client, whether this task is cancelled or not; return whether it stopped in time, or is left behind.

    In a task of its own: aiokafka cancels its own tasks and awaits them, and lets their CancelledError out when one was
    waiting to fetch again. That would end the task group of the caller without a word.
    """
    stopping = asyncio.ensure_future(client.stop())
    with anyio.move_on_after(within_s, shield=True):
        await asyncio.wait([stopping])
    if not stopping.done():
        stopping.cancel()
        return False
    if not stopping.cancelled():
        stopping.exception()  # retrieved: what failed while it closed is over
    return True


def _password(sasl: Sasl) -> str:
    try:
        return sasl.password.reveal()
    except UserError as error:
        raise KafkaMisconfigured(f"no Kafka password: {error}", advice="provide kafka.sasl.password") from error


def _context(tls: Tls) -> ssl.SSLContext:
    context = _loaded("ca_file", tls.ca_file, lambda: ssl.create_default_context(cafile=tls.ca_file))
    if tls.cert_file and tls.key_file:
        own = tls.cert_file, tls.key_file
        _loaded("cert_file", tls.cert_file, tls.cert_file.read_bytes)  # which of the two it is, is not said below
        # Without a password given, one is asked for on the terminal.
        _loaded("key_file", tls.key_file, lambda: context.load_cert_chain(*own, password=lambda: ""))
    return context


def _loaded(key: str, file: Path | None, load: Callable[[], T]) -> T:
    try:
        return load()
    except ssl.SSLError as error:
        reason = (error.reason or "no PEM").replace("_", " ").lower()
        advice = "expected PEM; a key without a password, that belongs to cert_file"
        raise KafkaMisconfigured(f"kafka.tls.{key} {file} cannot be used: {reason}", advice=advice) from error
    except OSError as error:
        advice = "put it there, where the collector may read it"
        raise KafkaMisconfigured(f"kafka.tls.{key} {file} cannot be read: {error.strerror}", advice=advice) from error


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
