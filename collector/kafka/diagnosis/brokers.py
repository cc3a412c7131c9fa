"""Why the brokers cannot be talked to: the clients only say that they cannot."""

import os
import re
from collections.abc import Iterator
from socket import gaierror
from typing import Any

import anyio
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest
from msgspec import Struct, field

from collector.errors import KafkaMisconfigured
from collector.kafka.connection import options
from collector.kafka.hooks import open_connection
from collector.kafka.refusal import refusal
from collector.kafka.settings import KafkaSettings

_PATIENCE_MS = 5000
"""For each broker: it is looked for why one does not answer, and it may be silent again."""
_UNANSWERED = (KafkaError, OSError, EOFError, TimeoutError)
_WHERE = "check kafka.bootstrap_servers, and whether the brokers run"
_WHAT_IT_WANTS = "check the port, and whether it wants TLS ([kafka.tls]) or a password ([kafka.sasl])"


async def why_unreached(settings: KafkaSettings) -> KafkaMisconfigured:
    """The reason why the brokers could not be used, with advice, for a command that just failed.

    They are asked anew; where all answer now, the reason is that they did not in time.
    """
    try:
        chosen = _options(settings)
    except KafkaMisconfigured as unusable:
        return unusable
    if (refused := await refusal(settings, chosen)) is not None:
        return refused
    seen = await _look(chosen)
    if seen.silent:
        return seen.silent[0]
    return KafkaMisconfigured(
        "the brokers did not answer in time", advice="try again; if it lasts, look at the brokers"
    )


async def unreachable(settings: KafkaSettings) -> KafkaMisconfigured | None:
    """The reason why no broker can be talked to, with advice; None when one answers.

    A part of the brokers may be away: what these have fails, and the rest goes on.
    """
    seen = await _look(_options(settings))
    return seen.silent[0] if seen.silent and not seen.answering else None


class _Seen(Struct):
    """What became of the attempts to talk to brokers."""

    answering: int = 0
    """Brokers that can be reached by the addresses at which clients go to them."""
    silent: list[KafkaMisconfigured] = field(default_factory=list)


def _options(settings: KafkaSettings) -> dict[str, Any]:
    return options(settings) | {"request_timeout_ms": _PATIENCE_MS}


async def _look(chosen: dict[str, Any]) -> _Seen:
    """Connect to every configured server, and then to the brokers that the first of these names: clients go there."""
    servers = chosen.pop("bootstrap_servers")
    named: dict[str, list[tuple[str, int]]] = {}
    unconnected: dict[str, Exception] = {}
    seen = _Seen()
    async with anyio.create_task_group() as tasks:
        for server in servers:
            tasks.start_soon(_bootstrap, server, chosen, named, unconnected, seen)
    for by, brokers in list(named.items())[:1]:
        async with anyio.create_task_group() as tasks:
            for broker in brokers:
                tasks.start_soon(_connect, by, broker, chosen, seen)
    if unconnected and not named and not seen.silent:
        reasons = {server: _told(unconnected[server]) for server in servers}
        text = "; ".join(f"{server}: {reason}" for server, (reason, _) in reasons.items())
        seen.silent.append(KafkaMisconfigured(f"no broker answers at {text}", advice=reasons[servers[0]][1]))
    return seen


async def _bootstrap(
    server: str,
    chosen: dict[str, Any],
    named: dict[str, list[tuple[str, int]]],
    unconnected: dict[str, Exception],
    seen: _Seen,
) -> None:
    """Note which brokers the server names, or why it does not."""
    try:
        conn = await open_connection(*_place(server), **chosen)
    except _UNANSWERED as error:
        unconnected[server] = error
        return
    try:
        named[server] = [(broker[1], broker[2]) for broker in (await conn.send(MetadataRequest([]))).brokers]
    except _UNANSWERED as error:
        reason = f"{server} takes the connection and no requests: {_told(error)[0]}"
        seen.silent.append(KafkaMisconfigured(reason, advice=_WHAT_IT_WANTS))
    finally:
        conn.close()


async def _connect(by: str, broker: tuple[str, int], chosen: dict[str, Any], seen: _Seen) -> None:
    """Note whether a broker can be reached by the address at which another names it."""
    host, port = broker
    try:
        (await open_connection(host, port, **chosen)).close()
    except _UNANSWERED as error:
        reason = f"{by} answers, and calls a broker {host}:{port}, which does not: {_told(error)[0]}"
        advice = "set advertised.listeners of the brokers to addresses that can be reached from here"
        seen.silent.append(KafkaMisconfigured(reason, advice=advice))
    else:
        seen.answering += 1


def _place(server: str) -> tuple[str, int]:
    host, colon, port = server.rpartition(":")
    if not colon or "]" in port:
        return server.strip("[]"), 9092  # as the clients take it
    return host.strip("[]"), int(port)


def _told(error: Exception) -> tuple[str, str]:
    """What is wrong, and what to do."""
    match error:
        case gaierror():
            reason, advice = error.strerror or "no such host", _WHERE
        case OSError() if not isinstance(error, TimeoutError) and (numbers := list(_numbers(error))):
            reason, advice = os.strerror(numbers[0]), _WHERE
        case TimeoutError():
            reason, advice = f"silent for {_PATIENCE_MS // 1000} s", _WHAT_IT_WANTS
        case _:
            reason, advice = "it ends the connection", _WHAT_IT_WANTS
    return reason, advice


def _numbers(error: OSError) -> Iterator[int]:
    """Of a host with several addresses, the error of each stands in the text alone."""
    if error.errno:
        yield error.errno
    yield from map(int, re.findall(r"\[Errno (\d+)\]", str(error)))
