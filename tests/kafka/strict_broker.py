"""A real Kafka that denies every operation that no ACL allows, except to the tests' own listener."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.kafka.broker import Broker, Listener, free_port

PASSWORDS = {"collector": "the-collectors-own", "reader": "the-readers-own"}
"""By user."""
_PROPERTIES = """
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required {users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


class StrictBroker(Broker):
    """One node. Clients of `address` may do everything; clients of `sasl_address` authenticate, and need ACLs."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.sasl_address = f"127.0.0.1:{free_port()}"
        users = " ".join(f'user_{name}="{password}"' for name, password in PASSWORDS.items())
        listener = Listener(self.sasl_address, self.sasl_address, "SASL_PLAINTEXT")
        self.configure({"SASL": listener}, _PROPERTIES.format(users=users))


def sasl_options(user: str) -> Mapping[str, str]:
    """Arguments with which a client of aiokafka authenticates at `sasl_address`."""
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": user,
        "sasl_plain_password": PASSWORDS[user],
    }


@contextmanager
def running(home: Path) -> Iterator[StrictBroker]:
    broker = StrictBroker(home)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
