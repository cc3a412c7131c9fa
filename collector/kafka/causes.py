"""Why the brokers do not let us in: aiokafka keeps it to itself, so they are asked once more, and their answer is read.

Nothing is guessed: a port that seems to speak TLS, or to ask for a password, is asked whether it does.
"""

import ssl
from collections.abc import Mapping
from typing import Any

import anyio
from aiokafka.conn import collect_hosts
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest
from anyio.abc import TaskGroup

from collector.errors import KafkaMisconfigured
from collector.kafka.hooks import open_connection
from collector.kafka.settings import KafkaSettings, Sasl, Tls

LOOK_S = 5.0
"""For all brokers, side by side: they answer within a tenth of a second, or a third when they refuse a password."""
_UNANSWERED = (KafkaError, OSError, TimeoutError, anyio.BrokenResourceError, anyio.EndOfStream)
_OTHER_NAME, _OUT_OF_DATE = (62, 64), (9, 10)
"""How OpenSSL numbers what is wrong with a certificate: another host name or address; not yet valid, or expired."""


async def refusal(settings: KafkaSettings, how: Mapping[str, Any]) -> KafkaMisconfigured | None:
    """What an operator must mend before the brokers let us in; None when it is not that. `how` is a client's options.

    Of several brokers, what one says: whoever mends it sees the next.
    """
    found: list[KafkaMisconfigured] = []
    options = {name: value for name, value in how.items() if name != "bootstrap_servers"}
    with anyio.move_on_after(LOOK_S):
        async with anyio.create_task_group() as tasks:
            for host, port, _ in collect_hosts(how["bootstrap_servers"]):
                tasks.start_soon(_look, _Door(host, port, settings, options), found, tasks)
    return found[0] if found else None


async def _look(door: "_Door", found: list[KafkaMisconfigured], tasks: TaskGroup) -> None:
    try:
        brokers = await door.enter()
    except _UNANSWERED as error:
        if (refused := await door.explained(error)) is not None:
            found.append(refused)
            tasks.cancel_scope.cancel()
        return
    for host, port in brokers if door.leads_further else ():
        tasks.start_soon(_look, _Door(host, port, door.settings, door.options, leads_further=False), found, tasks)


class _Door:
    """One broker's port. It leads further to the addresses by which the brokers call themselves: clients go there."""

    def __init__(
        self, host: str, port: int, settings: KafkaSettings, options: Mapping[str, Any], *, leads_further: bool = True
    ) -> None:
        self.settings = settings
        self.options = options
        self.leads_further = leads_further
        self._host = host
        self._port = port
        self._where = f"{host}:{port}"

    async def enter(self) -> list[tuple[str, int]]:
        """Where the brokers are, once this one has let us in."""
        connection = await open_connection(self._host, self._port, **self.options)
        try:
            answer = await connection.send(MetadataRequest([]))
        finally:
            await connection.close()
        return [(broker[1], broker[2]) for broker in answer.brokers]

    async def explained(self, error: BaseException) -> KafkaMisconfigured | None:
        """What the error means, or what the port says when it is asked what it speaks."""
        tls, sasl = self.settings.tls, self.settings.sasl
        if isinstance(error.__cause__, ssl.SSLError):
            error = error.__cause__
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._of_their_certificate(error)
        if tls and isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
            return self._of_ours(tls, error.reason)
        if sasl and isinstance(error, SaslAuthenticationFailed | UnsupportedSaslMechanismError | IllegalSaslStateError):
            return await self._of_sasl(sasl, error)
        return await self._of_port()

    async def _of_port(self) -> KafkaMisconfigured | None:
        tls, sasl = self.settings.tls, self.settings.sasl
        if tls and await self._answers(security_protocol="PLAINTEXT"):
            advice = "remove [kafka.tls], or name the port that speaks TLS in kafka.bootstrap_servers"
            return KafkaMisconfigured(f"{self._where} does not speak TLS", advice=advice)
        if not tls and await self._speaks_tls():
            advice = "add [kafka.tls], or name a port without TLS in kafka.bootstrap_servers"
            return KafkaMisconfigured(f"{self._where} speaks TLS", advice=advice)
        if not sasl and (mechanisms := await self._mechanisms()):
            advice = f"add [kafka.sasl], with one of these mechanisms: {mechanisms}"
            return KafkaMisconfigured(f"{self._where} asks for a user and a password", advice=advice)
        return None

    def _of_their_certificate(self, error: ssl.SSLCertVerificationError) -> KafkaMisconfigured:
        if error.verify_code in _OTHER_NAME:
            trouble = "is for another name"
            advice = "name the broker as its certificate does, in kafka.bootstrap_servers and in advertised.listeners"
        elif error.verify_code in _OUT_OF_DATE:
            trouble = "has expired, or is not yet valid"
            advice = "renew the broker's certificate, or set this machine's clock right"
        else:
            trouble = f"is not trusted: {error.verify_message}"
            advice = "put the authority that signed it into kafka.tls.ca_file"
        return KafkaMisconfigured(f"the certificate of {self._where} {trouble}", advice=advice)

    def _of_ours(self, tls: Tls, alert: str) -> KafkaMisconfigured:
        said = alert.rpartition("ALERT_")[2].replace("_", " ").lower()
        if "CERTIFICATE" not in alert and "UNKNOWN_CA" not in alert:
            advice = "compare the TLS versions and ciphers of the brokers and of this machine"
            return KafkaMisconfigured(f"{self._where} breaks off TLS: {said}", advice=advice)
        if tls.cert_file is None:
            advice = "set kafka.tls.cert_file and kafka.tls.key_file"
            return KafkaMisconfigured(f"{self._where} asks for a client's certificate", advice=advice)
        advice = "renew it: it must be in date, and of an authority that the brokers trust"
        return KafkaMisconfigured(f"{self._where} refuses the certificate in {tls.cert_file}: {said}", advice=advice)

    async def _of_sasl(self, sasl: Sasl, error: BaseException) -> KafkaMisconfigured:
        match error:
            case SaslAuthenticationFailed():
                refused = f"refuses the user {sasl.username} or the password, with {sasl.mechanism}"
                advice = "correct kafka.sasl; a changed password is noticed without a restart"
            case UnsupportedSaslMechanismError():
                refused = f"does not take {sasl.mechanism}"
                advice = f"set kafka.sasl.mechanism to one of these: {await self._mechanisms()}"
            case _:
                refused = "asks for no user and no password"
                advice = "remove [kafka.sasl], or name the port that asks for them in kafka.bootstrap_servers"
        return KafkaMisconfigured(f"{self._where} {refused}", advice=advice)

    async def _answers(self, **options: Any) -> bool:  # noqa: ANN401 - aiokafka's
        try:
            await (await open_connection(self._host, self._port, **options)).close()
        except _UNANSWERED:
            return False
        return True

    async def _speaks_tls(self) -> bool:
        anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE  # nothing is said to whoever it is
        try:
            stream = await anyio.connect_tcp(self._host, self._port, ssl_context=anybody, tls_standard_compatible=False)
            await stream.aclose()
        except ssl.SSLError as error:
            return "ALERT" in (error.reason or "")
        except _UNANSWERED:
            return False
        return True

    async def _mechanisms(self) -> str:
        """What the port takes for SASL; empty where it takes none."""
        security = "SSL" if self.settings.tls else "PLAINTEXT"
        context = self.options.get("ssl_context")
        try:
            connection = await open_connection(self._host, self._port, security_protocol=security, ssl_context=context)
            try:
                answer = await connection.send(SaslHandShakeRequest("PLAIN"))
            finally:
                await connection.close()
        except _UNANSWERED:
            return ""
        return ", ".join(sorted(answer.enabled_mechanisms))
