"""How every client of this process reaches the brokers."""

import ssl
from typing import Any

from collector.errors import Refused, UserError
from collector.kafka.settings import KafkaSettings, Sasl, Tls

CLOSE_S = 5.0
"""How long a client may take to close before it is left to the collector of garbage."""


def options(settings: KafkaSettings) -> dict[str, Any]:
    """Arguments that aiokafka's clients have in common. Raises Refused for files or secrets that are not there."""
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


def _password(sasl: Sasl) -> str:
    try:
        return sasl.password.reveal()
    except UserError as error:
        raise Refused(f"no Kafka password: {error}", advice="provide kafka.sasl.password") from error


def _context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file and tls.key_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:
        raise Refused(f"kafka.tls: {error}", advice="check ca_file, cert_file and key_file") from error
    return context
