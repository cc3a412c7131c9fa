"""A real Kafka in which nobody may do what no rule allows, but for those who come by its own door."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.kafka.broker import Broker, Door, free_port

PASSWORDS = {"collector": "the-collectors-own", "reader": "the-readers-own"}
"""By user."""
_GUARD = """
sasl.enabled.mechanisms=PLAIN
listener.name.guarded.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required {users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


class GuardedBroker(Broker):
    """One node. By `address` everybody may do everything; by `guarded` one says who one is, and may what is allowed."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.guarded = f"127.0.0.1:{free_port()}"
        users = " ".join(f'user_{name}="{password}"' for name, password in PASSWORDS.items())
        door = Door(self.guarded, self.guarded, "SASL_PLAINTEXT")
        self.configure({"GUARDED": door}, _GUARD.format(users=users))


def sasl(user: str) -> Mapping[str, str]:
    """What a client of aiokafka says at the guarded door."""
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": user,
        "sasl_plain_password": PASSWORDS[user],
    }


@contextmanager
def running(home: Path) -> Iterator[GuardedBroker]:
    broker = GuardedBroker(home)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
