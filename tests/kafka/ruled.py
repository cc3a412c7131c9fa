"""A Kafka with a user and rules for it, and with what is wrong with brokers that people set up in a hurry."""

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

from tests.kafka.broker import Broker, Door, free_port

USER, PASSWORD = "collector", "the-right-password"
_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_MORE = f"""
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config={_LOGIN} required user_{USER}="{PASSWORD}";
"""
WAIT_S = 60


class RuledBroker(Broker):
    """One node. By `sasl` one comes in with a password; by `lost`, and is then sent to where nobody listens.

    It can have no coordinator of groups: their topic is to have three replicas.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.sasl, self.lost, self.nobody = (f"127.0.0.1:{free_port()}" for _ in range(3))
        sasl, lost = Door(self.sasl, self.sasl, "SASL_PLAINTEXT"), Door(self.lost, self.nobody)
        self.configure({"SASL": sasl, "LOST": lost}, _MORE)
        text, one = self._config.read_text("utf-8"), "\noffsets.topic.replication.factor=1"
        assert 1 == text.count(one)
        self._config.write_text(text.replace(one, "\noffsets.topic.replication.factor=3"), "utf-8")

    @contextmanager
    def denying(self, kind: ResourceType, name: str, *operations: AclOperation) -> Iterator[None]:
        """The user may do everything but this to what begins so, until the end of the block."""
        admin = AdminClient({"bootstrap.servers": self.address})
        pattern = ResourcePatternType.LITERAL if kind == ResourceType.BROKER else ResourcePatternType.PREFIXED
        place = (kind, name, pattern, f"User:{USER}", "*")
        rules = [AclBinding(*place, each, AclPermissionType.DENY) for each in operations]
        rules.append(AclBinding(*place, AclOperation.ALL, AclPermissionType.ALLOW))
        every = AclBindingFilter(*place, AclOperation.ANY, AclPermissionType.ANY)
        for made in admin.create_acls(rules).values():
            made.result()
        _await_rules(admin, every, len(rules))
        try:
            yield
        finally:
            admin.delete_acls([every])[every].result()
            _await_rules(admin, every, 0)


def _await_rules(admin: AdminClient, of: AclBindingFilter, number: int) -> None:
    """The controller answers before the broker knows."""
    deadline = time.monotonic() + WAIT_S
    while len(admin.describe_acls(of).result()) != number:
        assert time.monotonic() < deadline, "the broker never heard of the rules"


@contextmanager
def running(home: Path) -> Iterator[RuledBroker]:
    broker = RuledBroker(home)
    try:
        broker.start()
        admin, deadline = AdminClient({"bootstrap.servers": broker.address}), time.monotonic() + WAIT_S
        while not admin.list_topics(timeout=WAIT_S).brokers:  # it answers before it knows of itself
            assert time.monotonic() < deadline, "the broker never knew of itself"
        yield broker
    finally:
        broker.kill()
