"""A real Kafka with a SASL user and ACLs for it, and with two common mistakes in its configuration."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.kafka.broker import Broker, Listener, free_port

USER, PASSWORD = "collector", "the-right-password"
_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_PROPERTIES = f"""
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config={_LOGIN} required user_{USER}="{PASSWORD}";
"""
MAX_WAIT_S = 60


class AclBroker(Broker):
    """One node. Clients of `sasl_address` authenticate with a password.

    The first mistake: the listener at `misadvertised` advertises `closed_address`, where nothing listens. The second:
    the consumer offsets topic requires three replicas, so that no group has a coordinator.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.sasl_address, self.misadvertised, self.closed_address = (f"127.0.0.1:{free_port()}" for _ in range(3))
        listeners = {
            "SASL": Listener(self.sasl_address, self.sasl_address, "SASL_PLAINTEXT"),
            "MISADVERTISED": Listener(self.misadvertised, self.closed_address),
        }
        self.configure(listeners, _PROPERTIES)
        text, one_replica = self._config.read_text("utf-8"), "\noffsets.topic.replication.factor=1"
        assert 1 == text.count(one_replica)
        self._config.write_text(text.replace(one_replica, "\noffsets.topic.replication.factor=3"), "utf-8")

    @contextmanager
    def denying(self, kind: ResourceType, name: str, *operations: AclOperation) -> Iterator[None]:
        """Deny the user these operations on resources whose name starts with `name`, until the end of the block.

        All other operations on them are allowed.
        """
        admin = AdminClient({"bootstrap.servers": self.address})
        pattern = ResourcePatternType.LITERAL if kind == ResourceType.BROKER else ResourcePatternType.PREFIXED
        target = (kind, name, pattern, f"User:{USER}", "*")
        acls = [AclBinding(*target, each, AclPermissionType.DENY) for each in operations]
        acls.append(AclBinding(*target, AclOperation.ALL, AclPermissionType.ALLOW))
        all_of_target = AclBindingFilter(*target, AclOperation.ANY, AclPermissionType.ANY)
        for created in admin.create_acls(acls).values():
            created.result()
        _wait_for_acls(admin, all_of_target, len(acls))
        try:
            yield
        finally:
            admin.delete_acls([all_of_target])[all_of_target].result()
            _wait_for_acls(admin, all_of_target, 0)


def _wait_for_acls(admin: AdminClient, of: AclBindingFilter, number: int) -> None:
    """The controller responds to a change before the broker applies it."""
    deadline = time.monotonic() + MAX_WAIT_S
    while len(admin.describe_acls(of).result()) != number:
        assert time.monotonic() < deadline, f"the broker does not have {number} ACLs"


@contextmanager
def running(home: Path) -> Iterator[AclBroker]:
    broker = AclBroker(home)
    try:
        broker.start()
        admin, deadline = AdminClient({"bootstrap.servers": broker.address}), time.monotonic() + MAX_WAIT_S
        while not admin.list_topics(timeout=MAX_WAIT_S).brokers:  # it responds before it is in its own metadata
            assert time.monotonic() < deadline, "the broker is not in its own metadata"
        yield broker
    finally:
        broker.kill()
