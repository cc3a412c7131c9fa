"""`collector topics --as terraform`: resources of the provider `Mongey/kafka`."""

from collections.abc import Iterable, Iterator, Mapping

from collector.commands.escaping import hcl_string
from collector.commands.topics_notes import comments
from collector.kafka.plan import MIN_INSYNC_REPLICAS, Plan, PlannedTopic, Resource, Right
from collector.kafka.settings import KafkaSettings

_HEAD = """\
# The topics and the rights that the collector needs: by `collector topics --as terraform`. Configure the provider
# beside this file, as an administrator."""
_PROVIDER = """\
terraform {
  required_providers {
    kafka = {
      source = "Mongey/kafka"
    }
  }
}
"""
_VARIABLE = """\
variable "{name}" {{
  description = {description}
  type        = {type}
}}
"""
_PRINCIPAL = "The collector's user, such as User:CN=collector."
_REPLICATION = "The number of replicas: the configuration leaves it to the brokers, the provider does not."
_CONFIG = "each.value.config"
_CONFIG_BY_REPLICATION = f'merge({_CONFIG}, var.replication_factor > 2 ? {{ "{MIN_INSYNC_REPLICAS}" = "2" }} : {{}})'
_TOPICS = """\
resource "kafka_topic" "collector" {{
  for_each           = local.collector_topics
  name               = each.key
  partitions         = each.value.partitions
  replication_factor = {replication}
  config             = {config}

  lifecycle {{
    prevent_destroy = true # the state and the events would be lost
  }}
}}
"""
_RIGHTS = """\
resource "kafka_acl" "collector" {{
  for_each                     = local.collector_rights
  acl_principal                = {principal}
  acl_host                     = "*"
  acl_permission_type          = "Allow"
  acl_operation                = each.value.operation
  resource_type                = each.value.type
  resource_name                = each.value.name
  resource_pattern_type_filter = each.value.pattern
}}"""
_TYPES = {Resource.TOPIC: "Topic", Resource.TRANSACTIONAL_ID: "TransactionalID", Resource.GROUP: "Group"}


def terraform(plan: Plan, settings: KafkaSettings) -> Iterator[str]:
    """The parts of the file: variables for what the configuration does not contain, values, and two resources."""
    yield _HEAD
    yield from comments(plan, settings)
    yield _PROVIDER
    principal, replication, config = "var.principal", "var.replication_factor", _CONFIG
    if settings.principal is None:
        yield _VARIABLE.format(name="principal", type="string", description=hcl_string(_PRINCIPAL))
    else:
        principal = hcl_string(settings.principal)
    if settings.replication_factor is None:
        yield _VARIABLE.format(name="replication_factor", type="number", description=hcl_string(_REPLICATION))
        config = _CONFIG_BY_REPLICATION
    else:
        replication = str(settings.replication_factor)
    yield "locals {\n  collector_topics = {"
    for topic in plan.topics:
        yield from _topic(topic)
    yield "  }\n  collector_rights = {"
    yield from _rights(plan.rights)
    yield "  }\n}\n"
    yield _TOPICS.format(replication=replication, config=config)
    yield _RIGHTS.format(principal=principal)


def _topic(topic: PlannedTopic) -> Iterator[str]:
    yield f"    {hcl_string(topic.name)} = {{"
    yield f"      partitions = {topic.partitions}"
    yield "      config = {"
    yield from _assignments({hcl_string(key): hcl_string(value) for key, value in topic.configs.items()}, "        ")
    yield "      }"
    yield "    }"


def _rights(rights: Iterable[Right]) -> Iterator[str]:
    """A line for each operation: the provider has one in a resource."""
    values: dict[str, str] = {}
    for right in rights:
        kind, pattern, name = _TYPES[right.resource], "Prefixed" if right.is_prefix else "Literal", right.name
        fields = f'type = "{kind}", name = {hcl_string(name)}, pattern = "{pattern}"'
        for operation in right.operations:
            values[hcl_string(f"{kind} {name} {operation}")] = f'{{ {fields}, operation = "{operation}" }}'
    return _assignments(values, "    ")


def _assignments(values: Mapping[str, str], indent: str) -> Iterator[str]:
    """A line for each value, aligned as `terraform fmt` aligns them."""
    width = max(map(len, values))
    return (f"{indent}{key.ljust(width)} = {value}" for key, value in values.items())
