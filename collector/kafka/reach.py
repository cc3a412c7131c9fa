"""Why the brokers cannot be talked to: the clients only say that they cannot."""

import os
import re
from collections.abc import Iterator
from socket import gaierror
from typing import Any

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from collector.errors import Refused
from collector.kafka.connection import options
from collector.kafka.refusal import refusal
from collector.kafka.settings import KafkaSettings

_PATIENCE_MS = 5000
"""For each broker: it is looked for why one does not answer, and it may be silent again."""
_WHERE = "check kafka.bootstrap_servers, and whether the brokers run"
_WHAT_IT_WANTS = "check the port, and whether it wants TLS ([kafka.tls]) or a password ([kafka.sasl])"


async def why_unreached(settings: KafkaSettings) -> Refused:
    """Asks whether it is they who refuse, then one after the other. Raises Refused for files that are not there."""
    chosen = options(settings) | {"request_timeout_ms": _PATIENCE_MS}
    if (refused := await refusal(settings, chosen)) is not None:
        return refused
    reasons = []
    for server in chosen.pop("bootstrap_servers"):
        host, port = _place(server)
        try:
            conn = await create_conn(host, port, **chosen)
        except (KafkaError, OSError, EOFError, TimeoutError) as error:
            reasons.append((server, *_told(error)))
            continue
        return await _why_silent(server, conn, chosen)
    told = "; ".join(f"{server}: {reason}" for server, reason, _ in reasons)
    return Refused(f"no broker answers at {told}", advice=reasons[0][2])


async def _why_silent(server: str, conn: AIOKafkaConnection, chosen: dict[str, Any]) -> Refused:
    """One answers: then it is those that it names which do not."""
    try:
        named = (await conn.send(MetadataRequest([]))).brokers
    except (KafkaError, OSError, TimeoutError) as error:
        return Refused(f"{server} takes the connection and no requests: {_told(error)[0]}", advice=_WHAT_IT_WANTS)
    finally:
        conn.close()
    for told in named:
        try:
            (await create_conn(told[1], told[2], **chosen)).close()
        except (KafkaError, OSError, EOFError, TimeoutError) as error:
            return Refused(
                f"{server} answers, and calls a broker {told[1]}:{told[2]}, which does not: {_told(error)[0]}",
                advice="set advertised.listeners of the brokers to addresses that can be reached from here",
            )
    return Refused(f"{server} did not answer in time", advice="try again; if it lasts, look at the brokers")


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
