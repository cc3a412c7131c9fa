"""How every client of this process connects to the brokers, and how it is started and closed."""

import asyncio
import os
import ssl
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio
from aiokafka.errors import KafkaError

from collector.errors import OUT_OF_FILES, KafkaMisconfigured, RetryLater, UserError, is_out_of_files
from collector.kafka import causes
from collector.kafka.sasl import TOKENS, Sasl
from collector.kafka.settings import KafkaSettings, Tls
from collector.kafka.tokens import TokenUnavailable, tokens_of

T = TypeVar("T")

CLIENT_ID = "collector"
"""The client id of all clients but the consumer of the group, for the brokers' logs and quotas. See `owners`."""
CLOSE_S = 5.0
"""How long a client may take to close before it is abandoned."""
UNAVAILABLE = (KafkaError, OSError, TimeoutError)
"""What the clients raise while the brokers cannot be used. `diagnose` finds the reason."""


class Client(Protocol):
    """A producer or a consumer of aiokafka."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def reason_of(error: BaseException) -> str:
    """The error as part of a sentence for an operator. The text of a KafkaError is a repr: only its type is named."""
    if isinstance(error, TokenUnavailable):
        return str(error.cause)
    if isinstance(error, KafkaError):
        return f"Kafka's client reports {type(error).__name__}"
    if text := str(error):
        return text
    return "no response in time" if isinstance(error, TimeoutError) else type(error).__name__


def options(settings: KafkaSettings) -> dict[str, Any]:
    """The arguments that aiokafka's clients have in common. Raises KafkaMisconfigured for unusable files or secrets.

    The files and the password are read now, and a client keeps them. The owner of a long-lived client compares
    `credentials_digest` to notice a change, and then replaces the client. Tokens are obtained for each connection.
    """
    common: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in settings.bootstrap_servers.split(",")],
        "request_timeout_ms": int(settings.request_timeout_s * 1000),
        "client_id": CLIENT_ID,
    }
    protocol = "SSL" if settings.tls else "PLAINTEXT"
    if settings.sasl:
        protocol = f"SASL_{protocol}"
        common["sasl_mechanism"] = settings.sasl.mechanism
        if settings.sasl.mechanism == TOKENS:
            common["sasl_oauth_token_provider"] = tokens_of(settings.sasl)
        else:
            common["sasl_plain_username"] = settings.sasl.username
            common["sasl_plain_password"] = _password(settings.sasl)
    if settings.tls:
        common["ssl_context"] = _ssl_context(settings.tls)
    return common | {"security_protocol": protocol}


def credentials_digest(settings: KafkaSettings) -> bytes:
    """A digest of the password and the certificate files as they are now: it changes when one of them changes.

    Tokens and the secrets for them are not part of it: each new connection uses the newest token anyway.

    Raises KafkaMisconfigured when the process cannot open another file.
    """
    digest = blake2b(digest_size=16)
    if settings.sasl:
        digest.update(_password_or_nothing(settings.sasl).encode())
    tls = settings.tls
    for key in ("ca_file", "cert_file", "key_file") if tls else ():
        file: Path | None = getattr(tls, key)
        digest.update(b"\0" + (_content(key, file) if file else b""))
    return digest.digest()


def have_credentials_changed(settings: KafkaSettings, used: bytes) -> bool:
    """Whether `credentials_digest` is another one than that of the credentials in use.

    False while the process cannot open another file: that passes, and is reported by the connections that fail.
    """
    try:
        return credentials_digest(settings) != used
    except KafkaMisconfigured:
        return False


async def start_client(client: Client, timeout_s: float) -> None:
    """Start a client. Raises TimeoutError after `timeout_s`, or what the client raises: mostly one of UNAVAILABLE."""
    with anyio.fail_after(timeout_s):
        await client.start()


async def stop_client(client: Client, timeout_s: float = CLOSE_S) -> bool:
    """Stop a client, also when this task is cancelled. Returns False if it did not stop in time and was abandoned.

    The client stops in a task of its own. aiokafka cancels and awaits its own tasks, and does not always catch their
    CancelledError; in the caller's task, it would end the caller's task group.
    """
    stopping = asyncio.ensure_future(client.stop())
    with anyio.move_on_after(timeout_s, shield=True):
        await asyncio.wait([stopping])
    if not stopping.done():
        stopping.cancel()
        return False
    if not stopping.cancelled():
        stopping.exception()  # retrieved, or the event loop would log it; a failure to close is of no consequence
    return True


def _password(sasl: Sasl) -> str:
    """The password; empty if tokens are used instead. Raises KafkaMisconfigured if it cannot be read."""
    try:
        return sasl.password.reveal() if sasl.password else ""
    except UserError as error:
        raise causes.password_unreadable(error) from error
    except RetryLater as error:
        raise causes.out_of_files(f"no Kafka password: {error}") from error


def _password_or_nothing(sasl: Sasl) -> str:
    """The password; empty if it cannot be read. Raises KafkaMisconfigured when too many files are open."""
    try:
        return _password(sasl)
    except KafkaMisconfigured as error:
        if error.code == OUT_OF_FILES:
            raise
        return ""


def _ssl_context(tls: Tls) -> ssl.SSLContext:
    if tls.ca_file is None:
        _verify_files_can_be_opened()
    context = _load("ca_file", tls.ca_file, lambda: ssl.create_default_context(cafile=tls.ca_file))
    if tls.cert_file and tls.key_file:
        pair = tls.cert_file, tls.key_file
        _load("cert_file", tls.cert_file, tls.cert_file.read_bytes)  # load_cert_chain does not name the missing file
        # Without a callback for the password, OpenSSL would ask for one at the terminal.
        _load("key_file", tls.key_file, lambda: context.load_cert_chain(*pair, password=lambda: ""))
    return context


def _verify_files_can_be_opened() -> None:
    """Raise KafkaMisconfigured when too many files are open: OpenSSL would trust no authority, and report no error."""
    try:
        with Path(os.devnull).open("rb"):
            pass
    except OSError as error:
        if is_out_of_files(error):
            text = f"the certificate authorities of this machine cannot be read: {error.strerror}"
            raise causes.out_of_files(text) from error


def _load(key: str, file: Path | None, load: Callable[[], T]) -> T:
    """What `load` returns. Raises KafkaMisconfigured, which names the key and the file, when it cannot be loaded."""
    try:
        return load()
    except OSError as error:
        raise causes.tls_file(key, file, error) from error


def _content(key: str, file: Path) -> bytes:
    """The content of a file; empty if it cannot be read. Raises KafkaMisconfigured when too many files are open."""
    try:
        return file.read_bytes()
    except OSError as error:
        if is_out_of_files(error):
            raise causes.tls_file(key, file, error) from error
        return b""
