"""Tries a transaction, and aborts it: whether a Kafka has transactions is not seen by its version.

Its only trace is an aborted record in the state topic, which no reader of committed records receives.
"""

import anyio
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    InvalidTransactionTimeout,
    KafkaConnectionError,
    KafkaError,
    ProducerFenced,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from collector.kafka import causes
from collector.kafka.connection import options, reason_of, start_client, stop_client
from collector.kafka.hooks import cancel_sender
from collector.kafka.producer import Producer
from collector.kafka.settings import KafkaSettings

TRIAL_S = 10.0
"""How long the trial may take. It is also its transaction timeout, unless that of the configuration is shorter, which
may be all that the brokers allow: if this process is killed meanwhile, they abort the transaction after that time."""
_KEY = b"#check"


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
    tried = "tried without a record: the state topic does not exist yet"
    try:
        with anyio.fail_after(TRIAL_S):
            await start_client(producer, TRIAL_S)
            await producer.begin_transaction()
            if has_topic:
                sent = await producer.send(settings.state_topic, b"", key=_KEY, partition=0)
                await sent
                tried = "a record was sent and aborted"
            await producer.abort_transaction()
    except ProducerFenced:  # by another trial: it has transactions
        return "tried by another check at the same time"
    except TransactionalIdAuthorizationFailed:
        raise causes.transactional_id_denied(settings) from None
    except TopicAuthorizationFailedError:
        raise causes.topic_denied(settings, settings.state_topic, "Write") from None
    except InvalidTransactionTimeout:
        raise causes.transaction_timeout(settings) from None
    except KafkaConnectionError:  # says nothing about transactions
        raise
    except TimeoutError:
        raise causes.no_transactions(f"it did not end within {TRIAL_S:g} s") from None
    except (KafkaError, NotImplementedError, IncompatibleBrokerVersion) as error:
        raise causes.no_transactions(reason_of(error)) from None
    finally:
        if not await stop_client(producer):
            cancel_sender(producer)
    return tried
