"""`collector topics`: each form has exactly the topics and rights that the configuration needs."""

import re
import subprocess
from pathlib import Path

import jsonschema
import pytest

from collector.commands.arguments import Form
from collector.commands.topics import topics
from collector.commands.topics_strimzi import resource_name
from collector.config import load
from collector.kafka.plan import topic_names
from tests.commands.configuration import MALL
from tests.commands.harness import collector
from tests.commands.printed_topics import READERS, Printed, PrintedTopic, calls, resources, terraform

KAFKA = """
[kafka]
bootstrap_servers = "kafka-1:9093, kafka-2:9093"
topic_prefix = "Shared_"
group = "audience"
state_partitions = 4
partitions = 3
{more}
[kafka.tls]
[kafka.sasl]
mechanism = "SCRAM-SHA-512"
username = "collector"
password = {{ file = "nowhere" }}
"""
TENANTS = (
    MALL
    + """topic_prefix = "north."
[sources.mall.streams.devices]
[sources.airport]
vendor = "quividi"
username = "airport"
token = { file = "nowhere" }
locations = [1]
timezone = "Europe/Paris"
topic_prefix = "south."
[sources.airport.streams.viewers]
"""
)
STATE = {"cleanup.policy": "compact", "segment.bytes": "33554432", "min.cleanable.dirty.ratio": "0.1"}
EVENTS = {"cleanup.policy": "delete", "retention.ms": "2592000000"}
COMPACTED = {"cleanup.policy": "compact"}
TOPICS = {
    "Shared_collector.state": (4, STATE),
    "Shared_collector.progress": (3, COMPACTED),
    "north.collector.dead_letters": (3, EVENTS),
    "north.seemetrix.devices": (3, COMPACTED),
    "south.collector.dead_letters": (3, EVENTS),
    "south.quividi.viewers": (3, EVENTS),
}
IDS = ("transactional id", "audience-Shared_collector.state-", True, "Write")
"""Of all partitions, of claims and of the transaction that `check` tries."""
OTHERS = {IDS, ("group", "audience", False, "Read"), ("topic", "Shared_collector.state", False, "Read")}
HOSTILE = """o'brien "x" \\ ${x} $${y} %{z} $(id) `id` é"""
ANONYMOUS = '[kafka]\nbootstrap_servers = "kafka:9092"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def printed(path: Path, form: Form, text: str) -> str:
    write(path, text)
    return topics(path, form)


def write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def needed(*operations: str, replicas: int | None = None, **more: str) -> Printed:
    """Return what is expected of the tenants."""
    extra = {key.replace("_", "."): value for key, value in more.items()}
    return Printed(
        {name: PrintedTopic(count, replicas, configs | extra) for name, (count, configs) in TOPICS.items()},
        {("topic", name, False, each) for name in TOPICS for each in operations} | OTHERS,
    )


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", needed("Write", "DescribeConfigs", "Create")),
        ("create_topics = false", needed("Write", "DescribeConfigs")),
        ("replication_factor = 2", needed("Write", "DescribeConfigs", "Create", replicas=2)),
        (
            "replication_factor = 3",
            needed("Write", "DescribeConfigs", "Create", replicas=3, min_insync_replicas="2"),
        ),
    ],
    ids=["defaults", "topics exist", "two replicas", "three replicas"],
)
def test_every_form_has_the_topics_and_rights_that_are_needed(
    path: Path, form: Form, more: str, expected: Printed
) -> None:
    text = printed(path, form, KAFKA.format(more=more) + TENANTS)

    found = READERS[form](text, path.parent)
    assert expected.topics == found.topics
    assert expected.rights == found.rights
    if form is not Form.TABLE:
        assert "User:collector" == found.user


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("creates", [True, False])
def test_create_is_granted_only_where_the_collector_creates_topics_and_the_text_says_so(
    path: Path, form: Form, creates: bool
) -> None:
    text = printed(path, form, KAFKA.format(more=f"create_topics = {str(creates).lower()}") + TENANTS)

    found = READERS[form](text, path.parent)
    may_create = {name for resource, name, _, operation in found.rights if (resource, operation) == ("topic", "Create")}
    assert (set(TOPICS) if creates else set()) == may_create
    assert creates == ("kafka.create_topics is true" in text)
    assert "create_topics = false" not in text


IAM = """
[kafka]
topic_prefix = "Shared_"
group = "audience"
create_topics = {creates}
[kafka.tls]
[kafka.sasl]
mechanism = "OAUTHBEARER"
aws_region = "eu-west-1"
"""


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("creates", [True, False])
def test_every_form_names_the_actions_of_amazon_msk_instead_of_rights(path: Path, form: Form, creates: bool) -> None:
    text = printed(path, form, IAM.format(creates=str(creates).lower()) + TENANTS)

    topic = {"DescribeTopic", "WriteData", "DescribeTopicDynamicConfiguration", *(["CreateTopic"] if creates else [])}
    assert {
        "cluster": {"Connect", "WriteDataIdempotently"},
        "topic Shared_collector.state": topic | {"ReadData"},
        f"topic {', '.join(sorted(set(TOPICS) - {'Shared_collector.state'}))}": topic,
        "transactional id audience-Shared_collector.state-*": {"DescribeTransactionalId", "AlterTransactionalId"},
        "group audience": {"DescribeGroup", "AlterGroup"},
    } == actions(text)
    READERS[form](text, path.parent)


def test_without_iam_no_actions_are_named(path: Path) -> None:
    assert {} == actions(printed(path, Form.KAFKA, KAFKA.format(more="") + TENANTS))


def actions(text: str) -> dict[str, set[str]]:
    """The actions of IAM that a text names, by what they are for."""
    found: dict[str, set[str]] = {}
    last = ""
    for line in text.splitlines():
        plain = line.removeprefix("# ")
        if plain.startswith("    kafka-cluster:"):
            found.setdefault(last, set()).add(plain.strip().removeprefix("kafka-cluster:"))
        last = last if plain.startswith(" ") else plain
    return found


@pytest.mark.parametrize("form", Form)
def test_the_topics_are_those_that_are_created_and_checked(path: Path, form: Form) -> None:
    text = printed(path, form, KAFKA.format(more="") + TENANTS)

    settings = load(path)
    assert set(topic_names(settings.kafka, settings.topics())) == set(READERS[form](text, path.parent).topics)


@pytest.mark.parametrize("form", [Form.KAFKA, Form.TERRAFORM])
def test_a_user_of_any_name_is_quoted(path: Path, form: Form) -> None:
    given = KAFKA.format(more="").replace('username = "collector"', f"username = '''{HOSTILE}'''") + TENANTS

    assert f"User:{HOSTILE}" == READERS[form](printed(path, form, given), path.parent).user


@pytest.mark.parametrize("name", [HOSTILE, "line\nspec: {}", "Collector"])
def test_a_user_whose_name_kubernetes_refuses_has_another_and_a_comment(path: Path, name: str) -> None:
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    given = KAFKA.format(more="").replace('username = "collector"', f"username = {quoted}") + TENANTS
    text = printed(path, Form.STRIMZI, given)

    (user,) = (each for each in resources(text) if each["kind"] == "KafkaUser")
    assert resource_name(name) == user["metadata"]["name"]
    assert {"authentication", "authorization"} == set(user["spec"])


def test_without_a_user_the_script_takes_it_from_the_environment(path: Path) -> None:
    script = printed(path, Form.KAFKA, ANONYMOUS + MALL)

    assert {"kafka-topics.sh"} == {tool for tool, *_ in calls(script, path.parent)}
    granted = [each for tool, *each in calls(script, path.parent, PRINCIPAL="User:CN=a b") if tool == "kafka-acls.sh"]
    assert granted
    assert all("User:CN=a b" in each for each in granted)


@pytest.mark.parametrize("given", ["User:sa-12345", "User:$ConnectionString", "User:o'brien }"])
def test_the_environment_replaces_the_configured_user(path: Path, given: str) -> None:
    script = printed(path, Form.KAFKA, KAFKA.format(more="") + TENANTS)

    granted = [each for tool, *each in calls(script, path.parent, PRINCIPAL=given) if tool == "kafka-acls.sh"]
    assert granted
    assert all(given in each for each in granted)
    assert {"kafka-topics.sh"} == {tool for tool, *_ in calls(script, path.parent, PRINCIPAL="")}


def test_the_script_uses_the_servers_and_the_settings_of_its_environment(path: Path) -> None:
    script = printed(path, Form.KAFKA, KAFKA.format(more="") + TENANTS)

    for each in calls(script, path.parent):
        assert ["--bootstrap-server", "kafka-1:9093,kafka-2:9093"] == each[1:3]
        assert "--command-config" not in each
    for each in calls(script, path.parent, BOOTSTRAP_SERVER="other:1", COMMAND_CONFIG="my file"):
        assert ["--bootstrap-server", "other:1", "--command-config", "my file"] == each[1:5]


def test_a_failed_call_ends_the_script(path: Path) -> None:
    script = printed(path, Form.KAFKA, KAFKA.format(more="") + TENANTS)

    (path.parent / "kafka-topics.sh").symlink_to("/bin/false")
    done = subprocess.run(["sh"], input=script.encode(), check=False, env={"PATH": f"{path.parent}:/bin"})
    assert 1 == done.returncode


def test_terraform_asks_for_what_the_configuration_does_not_have(path: Path) -> None:
    without = terraform(printed(path, Form.TERRAFORM, ANONYMOUS + MALL))
    complete = terraform(printed(path, Form.TERRAFORM, KAFKA.format(more="replication_factor = 3") + TENANTS))

    assert {"principal", "replication_factor"} == {name for each in without["variable"] for name in _names(each)}
    assert "variable" not in complete


def test_terraform_sets_the_replicas_in_sync_by_the_number_that_it_is_given(path: Path) -> None:
    without = terraform(printed(path, Form.TERRAFORM, ANONYMOUS + MALL))
    complete = terraform(printed(path, Form.TERRAFORM, KAFKA.format(more="replication_factor = 3") + TENANTS))

    configs = [each["resource"][0]["kafka_topic"]["collector"]["config"] for each in (without, complete)]
    assert ["var.replication_factor > 2" in each and "min.insync.replicas" in each for each in configs] == [True, False]


def _names(block: dict[str, object]) -> set[str]:
    return {name.strip('"') for name in block}


def test_terraform_does_not_delete_topics(path: Path) -> None:
    document = terraform(printed(path, Form.TERRAFORM, ANONYMOUS + MALL))

    (lifecycle,) = document["resource"][0]["kafka_topic"]["collector"]["lifecycle"]
    assert lifecycle["prevent_destroy"] is True


# The part of the CustomResourceDefinitions of Strimzi 1.0 that is used here. Other keys are rejected.
_TEXT = {"type": "string"}
_OPERATIONS = {"enum": ["Read", "Write", "Create", "Describe", "DescribeConfigs"]}
_RESOURCE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type", "name", "patternType"],
    "properties": {
        "type": {"enum": ["topic", "group", "cluster", "transactionalId"]},
        "name": _TEXT,
        "patternType": {"enum": ["literal", "prefix"]},
    },
}
_ACL = {
    "type": "object",
    "additionalProperties": False,
    "required": ["resource", "operations"],
    "properties": {"resource": _RESOURCE, "operations": {"type": "array", "minItems": 1, "items": _OPERATIONS}},
}
_TOPIC = {
    "partitions": {"type": "integer", "minimum": 1},
    "replicas": {"type": "integer", "minimum": 1},
    "topicName": _TEXT,
    "config": {"type": "object", "additionalProperties": _TEXT},
}
_USER = {
    "authentication": {"properties": {"type": {"enum": ["tls", "tls-external", "scram-sha-512"]}}},
    "authorization": {
        "type": "object",
        "additionalProperties": False,
        "required": ["type", "acls"],
        "properties": {"type": {"const": "simple"}, "acls": {"type": "array", "items": _ACL}},
    },
}
_NAME = {
    "type": "string",
    "maxLength": 253,
    "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
}
STRIMZI = {
    kind: {
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": "kafka.strimzi.io/v1"},
            "kind": {"const": kind},
            "metadata": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "labels"],
                "properties": {"name": _NAME, "labels": {"type": "object", "required": ["strimzi.io/cluster"]}},
            },
            "spec": {"type": "object", "additionalProperties": False, "properties": spec},
        },
    }
    for kind, spec in {"KafkaTopic": _TOPIC, "KafkaUser": _USER}.items()
}


@pytest.mark.parametrize("more", ["", "replication_factor = 3"])
def test_strimzi_accepts_every_key(path: Path, more: str) -> None:
    for each in resources(printed(path, Form.STRIMZI, KAFKA.format(more=more) + TENANTS)):
        jsonschema.validate(each, STRIMZI[each["kind"]])


@pytest.mark.parametrize(
    ("authentication", "expected"),
    [
        ('[kafka.sasl]\nmechanism = "SCRAM-SHA-512"\nusername = "me"\npassword = "x"\n', {"type": "scram-sha-512"}),
        ('[kafka.sasl]\nmechanism = "PLAIN"\nusername = "me"\npassword = "x"\n', None),
        ('[kafka.tls]\ncert_file = "a.pem"\nkey_file = "b.pem"\n', {"type": "tls"}),
        ("", None),
    ],
    ids=["SCRAM", "PLAIN", "certificate", "none"],
)
def test_strimzi_makes_the_credentials_that_it_can(
    path: Path, authentication: str, expected: dict[str, str] | None
) -> None:
    (user,) = (
        each
        for each in resources(printed(path, Form.STRIMZI, ANONYMOUS + authentication + MALL))
        if each["kind"] == "KafkaUser"
    )

    assert expected == user["spec"].get("authentication")


NAMES = ("a.b", "a_b", "A_b", "a-b", "..a..", "_", "-a-.b-", "a" * 249, "A" * 249, "collector.dead_letters", "é")


def test_names_in_kubernetes_are_valid_and_distinct() -> None:
    found = {name: resource_name(name) for name in NAMES}

    assert len(NAMES) == len(set(found.values()))
    assert all(re.fullmatch(str(_NAME["pattern"]), each) and len(each) <= 253 for each in found.values())
    assert {"a.b", "a-b", "a" * 249} == {name for name, each in found.items() if name == each}


@pytest.mark.anyio
async def test_the_command_needs_neither_kafka_nor_secrets(path: Path) -> None:
    write(path, KAFKA.format(more="") + TENANTS)
    result = await collector("topics", "--config", str(path))

    assert (0, "") == (result.code, result.err)
    assert result.out.startswith("TOPIC ")
    assert max(map(len, result.out.splitlines())) < 140


@pytest.mark.anyio
async def test_a_wrong_configuration_is_wrong_input(path: Path) -> None:
    write(path, "[kafka]\ngrup = 1\n")
    result = await collector("topics", "--config", str(path))

    assert 2 == result.code
    assert "kafka.grup" in result.err
