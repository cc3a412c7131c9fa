"""A real Kafka that denies every operation that no ACL allows, except to the tests' own listener."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AclBinding, AclBindingFilter, AdminClient

from tests.kafka.broker import NEWEST, START_S, Broker, Listener, free_port

PASSWORDS = {"collector": "the-collectors-own", "neighbor": "the-neighbors-own", "reader": "the-readers-own"}
"""By user."""
_PROPERTIES = """
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required {users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


class StrictBroker(Broker):
    """A node. Clients of `address` may do everything; clients of `sasl_address` authenticate, and need ACLs."""

    def __init__(
        self,
        home: Path,
        node: int = 1,
        controllers: Sequence[int] = (),
        nodes: int = 0,
        *,
        release: Path = NEWEST,
        classes: Path | None = None,
    ) -> None:
        super().__init__(home, node, controllers, nodes, release=release, classes=classes)
        self.sasl_address = f"127.0.0.1:{free_port()}"
        users = " ".join(f'user_{name}="{password}"' for name, password in PASSWORDS.items())
        listener = Listener(self.sasl_address, self.sasl_address, "SASL_PLAINTEXT")
        self.configure({"SASL": listener}, _PROPERTIES.format(users=users))

    def allow(self, bindings: Sequence[AclBinding]) -> None:
        """Add these ACLs, and return when the broker applies them: the controller responds before."""
        admin = AdminClient({"bootstrap.servers": self.address})
        for created in admin.create_acls(list(bindings)).values():
            created.result(START_S)
        deadline = time.monotonic() + START_S
        for binding in bindings:
            query = AclBindingFilter(
                binding.restype,
                binding.name,
                binding.resource_pattern_type,
                binding.principal,
                binding.host,
                binding.operation,
                binding.permission_type,
            )
            while not admin.describe_acls(query).result(START_S):
                assert time.monotonic() < deadline, f"the broker does not apply {binding}"


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
