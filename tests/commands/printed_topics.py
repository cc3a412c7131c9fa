"""Reads the topics and rights that `collector topics` prints, in each of its forms."""

import json
import os
import re
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hcl2
import yaml
from msgspec import Struct

from collector.commands.arguments import Form

TOOLS = ("kafka-topics.sh", "kafka-acls.sh")
_TOOL = f"""#!{sys.executable}
import json, os, sys
print(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]))
"""
"""A replacement for one of Kafka's tools that prints its name and its arguments."""


class PrintedTopic(Struct, frozen=True):
    """Partitions, replicas and settings of a topic. `replicas` is None for the brokers' default."""

    partitions: int
    replicas: int | None
    configs: dict[str, str]


class Printed(Struct, frozen=True):
    """What is printed: topics by name, and rights as resource, name, whether it is a prefix, and operation."""

    topics: dict[str, PrintedTopic]
    rights: set[tuple[str, str, bool, str]]
    user: str | None = None
    """The principal; None if it is not printed."""


def calls(script: str, folder: Path, **environment: str) -> list[list[str]]:
    """Run a script; return the name and the arguments of each call of one of Kafka's tools."""
    for name in TOOLS:
        tool = folder / name
        tool.write_text(_TOOL, "utf-8")
        tool.chmod(0o755)
    path = {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(["sh"], input=script.encode(), check=True, capture_output=True, env=path | environment)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _options() -> ArgumentParser:
    """Return a parser for the options of both tools that the script uses."""
    parser = ArgumentParser(allow_abbrev=False)
    for name in ("--bootstrap-server", "--command-config", "--allow-principal", "--partitions", "--replication-factor"):
        parser.add_argument(name)
    for name in ("--create", "--if-not-exists", "--add"):
        parser.add_argument(name, action="store_true")
    parser.add_argument("--resource-pattern-type", choices=("literal", "prefixed"), default="literal")
    for name in ("--topic", "--config", "--operation", "--group", "--transactional-id"):
        parser.add_argument(name, action="append", default=[])
    return parser


def read_kafka(text: str, folder: Path) -> Printed:
    printed = Printed({}, set())
    users = set()
    for tool, *arguments in calls(text, folder):
        options = _options().parse_args(arguments)
        if tool == "kafka-topics.sh":
            assert options.create
            assert options.if_not_exists
            (name,) = options.topic
            replicas = None if options.replication_factor is None else int(options.replication_factor)
            configs = dict(each.split("=", 1) for each in options.config)
            printed.topics[name] = PrintedTopic(int(options.partitions), replicas, configs)
        else:
            assert options.add
            users.add(options.allow_principal)
            printed.rights.update(_rights(options))
    return Printed(printed.topics, printed.rights, users.pop() if users else None)


def _rights(options: Namespace) -> set[tuple[str, str, bool, str]]:
    resources = {"topic": options.topic, "group": options.group, "transactional id": options.transactional_id}
    return {
        (kind, name, options.resource_pattern_type == "prefixed", operation)
        for kind, names in resources.items()
        for name in names
        for operation in options.operation
    }


def read_table(text: str, _: Path) -> Printed:
    topics, rights = (part.splitlines()[1:] for part in text.split("\n\n")[:2])  # notes may follow
    printed = Printed({}, set())
    for line in topics:
        name, _type, partitions, replicas, policy, *others = line.split()
        configs = {"cleanup.policy": policy, **dict(each.split("=", 1) for each in others)}
        printed.topics[name] = PrintedTopic(int(partitions), None if replicas == "default" else int(replicas), configs)
    for line in rights:
        kind, name, operations = re.split(r"  +", line)
        found = ((kind, name.removesuffix("*"), name.endswith("*"), each) for each in operations.split(", "))
        printed.rights.update(found)
    return printed


def read_strimzi(text: str, _: Path) -> Printed:
    printed = Printed({}, set())
    (user,) = (each for each in resources(text) if each["kind"] == "KafkaUser")
    for each in resources(text):
        if each["kind"] == "KafkaTopic":
            spec = each["spec"]
            name = spec.get("topicName", each["metadata"]["name"])
            printed.topics[name] = PrintedTopic(spec["partitions"], spec.get("replicas"), spec["config"])
    for acl in user["spec"]["authorization"]["acls"]:
        kind = {"transactionalId": "transactional id"}.get(acl["resource"]["type"], acl["resource"]["type"])
        is_prefix = {"literal": False, "prefix": True}[acl["resource"]["patternType"]]
        printed.rights.update((kind, acl["resource"]["name"], is_prefix, each) for each in acl["operations"])
    return Printed(printed.topics, printed.rights, f"User:{user['metadata']['name']}")


def resources(text: str) -> list[dict[str, Any]]:
    """The Kubernetes objects."""
    return list(yaml.safe_load_all(text))


def read_terraform(text: str, _: Path) -> Printed:
    document = terraform(text)
    (values,) = document["locals"]
    topics = values["collector_topics"]
    kinds = {"Topic": "topic", "TransactionalID": "transactional id", "Group": "group"}
    patterns = {"Literal": False, "Prefixed": True}
    topic, acl = (each[kind]["collector"] for each, kind in zip(document["resource"], KINDS, strict=True))
    replicas, principal = topic["replication_factor"], acl["acl_principal"]
    return Printed(
        {
            name: PrintedTopic(each["partitions"], replicas if isinstance(replicas, int) else None, each["config"])
            for name, each in topics.items()
        },
        {
            (kinds[each["type"]], each["name"], patterns[each["pattern"]], each["operation"])
            for each in values["collector_rights"].values()
        },
        None if principal == "${var.principal}" else principal,
    )


KINDS = ("kafka_topic", "kafka_acl")
"""The resources of the Terraform provider, in order."""


def terraform(text: str) -> Any:  # noqa: ANN401 - any JSON
    """The document, with strings decoded; an expression is `${…}`."""
    return _decoded(hcl2.loads(text))


def _decoded(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {_decoded(key): _decoded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    if isinstance(value, str) and value.startswith('"'):
        return json.loads(value.replace("$${", "${").replace("%%{", "%{"))
    return value


READERS: Mapping[Form, Callable[[str, Path], Printed]] = {
    Form.TABLE: read_table,
    Form.KAFKA: read_kafka,
    Form.STRIMZI: read_strimzi,
    Form.TERRAFORM: read_terraform,
}
