"""Why a client cannot use the brokers: aiokafka does not report it, so each broker is connected to once more.

The causes are verified, not guessed: a port that seems to speak TLS, or to require a password, is tested for it.
"""

import ssl
from typing import Any

import anyio
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from anyio.abc import TaskGroup
from msgspec import Struct, field

from collector.errors import KafkaMisconfigured
from collector.kafka import causes, token_causes
from collector.kafka.connection import options
from collector.kafka.hooks import open_connection
from collector.kafka.requests import advertised_addresses, sasl_mechanisms
from collector.kafka.sasl import TOKENS
from collector.kafka.settings import KafkaSettings
from collector.kafka.tokens import TokenUnavailable, tokens_of

TIMEOUT_S = 5.0
"""For the connection to a broker, and again for the tests of one that rejects the collector."""
_Address = tuple[str, int]
_FAILURES = (KafkaError, OSError, EOFError, TimeoutError, anyio.BrokenResourceError, anyio.EndOfStream)


class Diagnosis(Struct, frozen=True):
    """The result of connecting to every broker."""

    refused: KafkaMisconfigured | None = None
    """Why a broker rejects the collector: an operator must change it. None if none does."""
    unreachable: KafkaMisconfigured | None = None
    """Why one broker cannot be reached; others may be reachable. None if all are."""
    reachable: int = 0
    """The number of brokers that respond at the address that they advertise: clients connect to that one."""

    @property
    def cause(self) -> KafkaMisconfigured:
        """Why a client failed just before the diagnosis. If every broker responds now, they were slow."""
        return self.refused or self.unreachable or causes.slow_brokers()


async def diagnose(settings: KafkaSettings) -> Diagnosis:
    """Connect to every server in kafka.bootstrap_servers, and to each broker that they advertise.

    Takes up to four times TIMEOUT_S when brokers do not respond. Raises no error of Kafka or of the network.
    """
    try:
        client_options = options(settings)
    except KafkaMisconfigured as unusable:  # a password or a certificate cannot be read
        return Diagnosis(refused=unusable)
    servers = {_address(server): server for server in client_options.pop("bootstrap_servers")}
    visits = _Visits(settings, client_options | {"request_timeout_ms": int(TIMEOUT_S * 1000)}, servers)
    async with anyio.create_task_group() as tasks:
        for address in servers:
            tasks.start_soon(_visit, address, visits, tasks)
    if visits.refused:
        return Diagnosis(refused=visits.refused[0])
    return Diagnosis(None, _unreachable(visits), len(visits.responding & visits.advertised.keys()))


class _Visits(Struct):
    """The results of the connections so far, by address."""

    settings: KafkaSettings
    client_options: dict[str, Any]
    servers: dict[_Address, str]
    """The configured servers, as they are configured."""
    advertised: dict[_Address, str] = field(default_factory=dict)
    """The brokers that the servers advertise, each with the first server that advertised it."""
    refused: list[KafkaMisconfigured] = field(default_factory=list)
    responding: set[_Address] = field(default_factory=set)
    silent: dict[_Address, Exception] = field(default_factory=dict)
    """Brokers that accepted a connection, but did not respond to a request; with the error."""
    unconnected: dict[_Address, Exception] = field(default_factory=dict)
    """Brokers that did not accept a connection; with the error."""


async def _visit(address: _Address, visits: _Visits, tasks: TaskGroup) -> None:
    """Connect to a broker; from a configured server, continue with the brokers that it advertises."""
    broker = _Broker(address, visits.settings, visits.client_options)
    try:
        advertised = await broker.advertised()
    except _FAILURES as error:
        refused = None
        with anyio.move_on_after(TIMEOUT_S):
            refused = await broker.refusal(error)
        if refused is not None:
            visits.refused.append(refused)
            tasks.cancel_scope.cancel()  # once it is corrected, the next diagnosis finds the next cause
        (visits.silent if broker.is_connected else visits.unconnected)[address] = error
        return
    visits.responding.add(address)
    if address not in visits.servers:
        return
    for each in advertised:
        if each not in visits.advertised:
            visits.advertised[each] = visits.servers[address]
            if each not in visits.servers:
                tasks.start_soon(_visit, each, visits, tasks)


def _unreachable(visits: _Visits) -> KafkaMisconfigured | None:
    """Why one of the brokers cannot be reached; None when all can."""
    for address, server in visits.servers.items():
        if address in visits.silent:
            return causes.no_response(server, visits.silent[address])
    failed = visits.silent | visits.unconnected
    for address, server in visits.advertised.items():
        if address in failed:
            return causes.advertised_broker_unreachable(server, _name(address), failed[address])
    if visits.responding:
        return None
    return causes.brokers_unreachable(
        [(server, visits.unconnected[address]) for address, server in visits.servers.items()]
    )


class _Broker:
    """One address of a broker."""

    def __init__(self, address: _Address, settings: KafkaSettings, client_options: dict[str, Any]) -> None:
        self.name = _name(address)
        self.is_connected = False
        """Whether it accepted the connection, with TLS and SASL as configured."""
        self._host, self._port = address
        self._tls = settings.tls
        self._sasl = settings.sasl
        self._options = client_options

    async def advertised(self) -> list[_Address]:
        """The addresses at which the brokers of the cluster advertise themselves. Raises one of _FAILURES."""
        connection = await open_connection(self._host, self._port, **self._options)
        self.is_connected = True
        try:
            return await advertised_addresses(connection)
        finally:
            await connection.close()

    async def refusal(self, error: BaseException) -> KafkaMisconfigured | None:
        """What an operator must change, from the error or from connections with other protocols; None if unknown."""
        if isinstance(error, TokenUnavailable):
            return error.cause
        if isinstance(error.__cause__, ssl.SSLError):
            error = error.__cause__
        if isinstance(error, ssl.SSLCertVerificationError):
            return causes.broker_certificate(self.name, error)
        if self._tls and isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
            return causes.tls_alert(self.name, self._tls, error.reason)
        return await self._sasl_refusal(error) or await self._protocol_refusal()

    async def _sasl_refusal(self, error: BaseException) -> KafkaMisconfigured | None:
        if self._sasl and isinstance(error, SaslAuthenticationFailed):
            if self._sasl.mechanism == TOKENS:
                has_expired = tokens_of(self._sasl).refused()
                return token_causes.token_refused(self.name, self._sasl, has_expired=has_expired)
            return causes.credentials_refused(self.name, self._sasl)
        if self._sasl and isinstance(error, UnsupportedSaslMechanismError):
            return causes.sasl_mechanism(self.name, self._sasl, await self._mechanisms())
        if self._sasl and isinstance(error, IllegalSaslStateError):
            return causes.sasl_not_spoken(self.name)
        return None

    async def _protocol_refusal(self) -> KafkaMisconfigured | None:
        """Which protocol the port expects instead of the configured one; None if that is not the problem."""
        if self._tls and await self._accepts_plaintext():
            return causes.tls_not_spoken(self.name)
        if not self._tls and await self._speaks_tls():
            return causes.tls_required(self.name)
        if not self._sasl and (mechanisms := await self._mechanisms()):
            return causes.sasl_required(self.name, mechanisms)
        return None

    async def _accepts_plaintext(self) -> bool:
        try:
            await (await open_connection(self._host, self._port, security_protocol="PLAINTEXT")).close()
        except _FAILURES:
            return False
        return True

    async def _speaks_tls(self) -> bool:
        """Whether the port speaks TLS, even if it requires a client certificate."""
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE  # nothing is sent to the server
        try:
            stream = await anyio.connect_tcp(
                self._host, self._port, ssl_context=unverified, tls_standard_compatible=False
            )
            await stream.aclose()
        except ssl.SSLError as error:
            return "ALERT" in (error.reason or "")
        except _FAILURES:
            return False
        return True

    async def _mechanisms(self) -> list[str]:
        """The SASL mechanisms that the port offers; empty where it offers none."""
        protocol, context = "SSL" if self._tls else "PLAINTEXT", self._options.get("ssl_context")
        try:
            connection = await open_connection(self._host, self._port, security_protocol=protocol, ssl_context=context)
            try:
                return await sasl_mechanisms(connection)
            finally:
                await connection.close()
        except _FAILURES:
            return []


def _address(server: str) -> _Address:
    """Host and port of a configured server, with the default port of aiokafka's clients."""
    host, colon, port = server.rpartition(":")
    if not colon or "]" in port:
        return server.strip("[]"), 9092
    return host.strip("[]"), int(port)


def _name(address: _Address) -> str:
    return f"{address[0]}:{address[1]}"
