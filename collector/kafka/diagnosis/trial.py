"""Tries a transaction, and aborts it: whether a Kafka has transactions is not seen by its version.

Its only trace is an aborted record in the state topic, which no reader of committed records receives.
"""

import anyio
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    InvalidTransactionTimeout,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    ProducerFenced,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from collector.errors import KafkaMisconfigured
from collector.kafka import causes
from collector.kafka.connection import options, reason_of, start_client, stop_client
from collector.kafka.hooks import cancel_sender
from collector.kafka.producer import Producer
from collector.kafka.settings import KafkaSettings

TRIAL_S = 10.0
"""How long the trial may take. It is also its transaction timeout, unless that of the configuration is shorter, which
may be all that the brokers allow: if this process is killed meanwhile, they abort the transaction after that time."""
_KEY = b"#check"
_SLOW = (TimeoutError, KafkaTimeoutError, NotEnoughReplicasError, NotEnoughReplicasAfterAppendError)
"""What is raised when replicas of the state topic are missing: the client repeats the request until it gives up."""


async def try_transaction(settings: KafkaSettings, *, has_topic: bool) -> str:
    """Begin a transaction and abort it; with the state topic, after a record in it. Returns what was tried.

    Raises KafkaMisconfigured when that fails, and KafkaConnectionError when no broker can be used any more. The
    transactional id is that of no partition, so no producer is fenced.
    """
    timeout_s = min(TRIAL_S, settings.transaction_timeout.total_seconds())
    producer = Producer(
        **options(settings),
        transactional_id=f"{settings.transactional_id_prefix}check",
        transaction_timeout_ms=int(timeout_s * 1000),
    )
    is_sending, tried = False, "tried without a record: the state topic does not exist, or cannot be used"
    try:
        with anyio.fail_after(TRIAL_S):
            await start_client(producer, TRIAL_S)
            await producer.begin_transaction()
            if has_topic:
                is_sending = True
                await producer.send_and_wait(settings.state_topic, b"", key=_KEY, partition=0)
                is_sending = False
                tried = "a record was sent and aborted"
            await producer.abort_transaction()
    except ProducerFenced:  # by another trial: it has transactions
        return "tried by another check at the same time"
    except KafkaConnectionError:  # says nothing about transactions
        raise
    except (KafkaError, TimeoutError, NotImplementedError, IncompatibleBrokerVersion) as error:
        raise _cause(error, settings, is_sending=is_sending) from None
    finally:
        if not await stop_client(producer):
            cancel_sender(producer)
    return tried


def _cause(error: Exception, settings: KafkaSettings, *, is_sending: bool) -> Exception:
    """Why the trial failed. `is_sending`: the transaction had begun, and a record was being sent."""
    match error:
        case TransactionalIdAuthorizationFailed():
            return causes.transactional_id_denied(settings)
        case TopicAuthorizationFailedError():
            return causes.topic_denied(settings, settings.state_topic, "Write")
        case InvalidTransactionTimeout():
            return causes.transaction_timeout(settings)
        case _ if is_sending and isinstance(error, _SLOW):
            return _not_written(settings)
        case _:
            is_late = isinstance(error, TimeoutError)
            return causes.no_transactions(f"it did not end within {TRIAL_S:g} s" if is_late else reason_of(error))


def _not_written(settings: KafkaSettings) -> KafkaMisconfigured:
    """The transaction began, but the state topic accepted no record."""
    return KafkaMisconfigured(
        f"{settings.state_topic} has accepted no record within {TRIAL_S:g} s",
        advice="compare its replicas in sync with min.insync.replicas (kafka-topics.sh --describe), and read the "
        "brokers' logs",
        code="topic_not_written",
    )
