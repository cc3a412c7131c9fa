"""`collector topics --as kafka`: a shell script that calls Apache Kafka's own tools."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from shlex import quote

from collector.commands.topics_notes import comments
from collector.kafka.plan import Operation, Plan, PlannedTopic, Resource, but_name
from collector.kafka.settings import KafkaSettings

_HEAD = """\
#!/bin/sh
# The topics and the rights that the collector needs: by `collector topics --as kafka`. To run it as an administrator,
# with the directory of Kafka's tools in PATH. To run it again is harmless: existing topics stay as they are.
# If a service refuses a setting, remove its --config; cleanup.policy is required."""
_START = """\
set -eu

bootstrap_server=${{BOOTSTRAP_SERVER:-{servers}}}
# A file with the administrator's client settings; empty: none.
command_config=${{COMMAND_CONFIG-}}
# The collector's user as the brokers name it, such as User:collector; empty: no rights are granted.
configured={principal}
principal=${{PRINCIPAL-$configured}}

topic() {{
    kafka-topics.sh --bootstrap-server "$bootstrap_server" ${{command_config:+--command-config "$command_config"}} \\
        --create --if-not-exists --topic "$@"
}}
allow() {{
    kafka-acls.sh --bootstrap-server "$bootstrap_server" ${{command_config:+--command-config "$command_config"}} \\
        --add --allow-principal "$principal" "$@"
}}
"""
_DEFAULT_REPLICATION = """\
# kafka.replication_factor is left out: the number of replicas is the brokers' default. If it is 3 or more, also set
# min.insync.replicas=2, in the topics or in the brokers."""
_OPTIONS = {Resource.TOPIC: "topic", Resource.TRANSACTIONAL_ID: "transactional-id", Resource.GROUP: "group"}
_NEXT_LINE = " \\\n    "


def kafka(plan: Plan, settings: KafkaSettings) -> Iterator[str]:
    """The parts of the script."""
    servers = ",".join(server.strip() for server in settings.bootstrap_servers.split(","))
    principal = "" if settings.principal is None else quote(settings.principal)
    yield _HEAD
    yield from comments(plan, settings)
    yield _START.format(servers=servers, principal=principal)
    if settings.replication_factor is None:
        yield _DEFAULT_REPLICATION
    for topic in plan.topics:
        yield _create(topic, settings.replication_factor)
    yield ""
    yield '[ -n "$principal" ] || exit 0'
    for (resource, operations, is_prefix), rights in groupby(plan.rights, but_name):
        yield _allow(resource, operations, [each.name for each in rights], is_prefix=is_prefix)


def _create(topic: PlannedTopic, replication: int | None) -> str:
    replicas = "" if replication is None else f" --replication-factor {replication}"
    configs = [f"--config {quote(f'{key}={value}')}" for key, value in topic.configs.items()]
    return _NEXT_LINE.join([f"topic {quote(topic.name)} --partitions {topic.partitions}{replicas}", *configs])


def _allow(resource: Resource, operations: Sequence[Operation], names: Sequence[str], *, is_prefix: bool) -> str:
    """One call for all resources with equal rights: each call starts a virtual machine of Java."""
    pattern = " --resource-pattern-type prefixed" if is_prefix else ""
    allowed = " ".join(f"--operation {each}" for each in operations)
    return _NEXT_LINE.join([f"allow {allowed}{pattern}", *(f"--{_OPTIONS[resource]} {quote(name)}" for name in names)])
