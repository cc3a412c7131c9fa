"""Requests for which aiokafka's clients have no method, or one that omits what is needed. They change nothing.

Source: the Kafka protocol guide; KIP-430 (authorized operations), KIP-98 (transactions). The module builds on
`aiokafka.protocol`, which is undocumented; every request is sent to a real broker by the tests.
"""

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.admin import ApiVersionRequest, SaslHandShakeRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest
from aiokafka.protocol.types import Array, Boolean, Bytes, Int16, Int32, Schema, String
from msgspec import Struct

from collector.kafka.hooks import send_request, send_to_controller

NO_ERROR, UNKNOWN_TOPIC, TOPIC_DENIED, CLUSTER_DENIED, TOPIC_EXISTS, BAD_REPLICATION_FACTOR = 0, 3, 29, 31, 36, 38
INVALID_CONFIG, POLICY_VIOLATION = 40, 44
"""Error codes, as Kafka numbers them."""
DEFAULT_REPLICATION = -1
"""The replication factor of a new topic that the brokers choose (KIP-464)."""
_NOT_REPORTED = -(1 << 31)
"""The operations that a broker reports if it does not report them (KIP-430)."""
READ, WRITE = 3, 4
"""Operations, as Kafka numbers them."""
_CREATE_TIMEOUT_MS = 10_000
"""How long the controller may take to create topics on all brokers."""
_TEXT = String("utf-8")
_COORDINATOR_ERRORS = (CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError)
_NO_PRODUCER = -1
"""The id and epoch of no producer: the broker checks the permission for its request, then refuses the producer."""


def _array(**fields: Any) -> Array:  # noqa: ANN401 - aiokafka has no types
    return Array(*fields.items())


_BROKERS = _array(node_id=Int32, host=_TEXT, port=Int32, rack=_TEXT)
_REPLICAS = {"replicas": Array(Int32), "in_sync": Array(Int32), "offline": Array(Int32)}
_PARTITIONS = _array(error_code=Int16, partition=Int32, leader=Int32, leader_epoch=Int32, **_REPLICAS)
_TOPICS = _array(error_code=Int16, name=_TEXT, is_internal=Boolean, partitions=_PARTITIONS, allowed=Int32)
_MEMBERS = _array(member_id=_TEXT, client_id=_TEXT, client_host=_TEXT, metadata=Bytes, assignment=Bytes)
_ASSIGNMENT = Schema(("version", Int16), ("topics", _array(topic=_TEXT, partitions=Array(Int32))), ("user_data", Bytes))
"""The assignment of a consumer, in whichever way it was made (Kafka's ConsumerProtocolAssignment)."""
_GROUP_TEXTS = {"group": _TEXT, "state": _TEXT, "protocol_type": _TEXT, "protocol": _TEXT}
_GROUPS = _array(error_code=Int16, **_GROUP_TEXTS, members=_MEMBERS, allowed=Int32)


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", _BROKERS),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        ("topics", _TOPICS),
        ("allowed", Int32),
    )


class _MetadataStruct(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 8
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(_TEXT)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _TopicsRequest(Request[_MetadataStruct]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_MetadataStruct]) -> _MetadataStruct:
        return request_struct_class(self._topics, False, False, True)  # noqa: FBT003 - in the order of the schema


class _CreateResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 19, 4
    SCHEMA = Schema(("throttle_time_ms", Int32), ("topics", _array(name=_TEXT, error_code=Int16, error=_TEXT)))


class _CreateStruct(RequestStruct):  # type: ignore[misc]
    """Since this version, which aiokafka lacks, the brokers may choose the replication factor."""

    API_KEY, API_VERSION = 19, 4
    RESPONSE_TYPE = _CreateResponse
    SCHEMA = Schema(
        (
            "topics",
            _array(
                name=_TEXT,
                partitions=Int32,
                replication_factor=Int16,
                assignments=_array(partition=Int32, replicas=Array(Int32)),
                configs=_array(name=_TEXT, value=_TEXT),
            ),
        ),
        ("timeout_ms", Int32),
        ("validate_only", Boolean),
    )


class NewTopic(Struct, frozen=True):
    """A topic to create."""

    name: str
    partitions: int
    replication_factor: int
    """Or DEFAULT_REPLICATION."""
    configs: Mapping[str, str]


class _CreateRequest(Request[_CreateStruct]):  # type: ignore[misc]
    API_KEY = 19

    def __init__(self, topics: Sequence[NewTopic], *, validate_only: bool) -> None:
        self._topics: list[tuple[object, ...]] = [
            (each.name, each.partitions, each.replication_factor, [], list(each.configs.items())) for each in topics
        ]
        self._validate_only = validate_only

    def build(self, request_struct_class: type[_CreateStruct]) -> _CreateStruct:
        return request_struct_class(self._topics, _CREATE_TIMEOUT_MS, self._validate_only)


class _GroupsResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 15, 3
    SCHEMA = Schema(("throttle_time_ms", Int32), ("groups", _GROUPS))


class _GroupsStruct(RequestStruct):  # type: ignore[misc]
    """aiokafka's own struct of this version decodes the response of an older one."""

    API_KEY, API_VERSION = 15, 3
    RESPONSE_TYPE = _GroupsResponse
    SCHEMA = Schema(("groups", Array(_TEXT)), ("include_authorized_operations", Boolean))


class _GroupsRequest(Request[_GroupsStruct]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_GroupsStruct]) -> _GroupsStruct:
        return request_struct_class([self._group], True)  # noqa: FBT003 - in the order of the schema


class TopicMetadata(Struct, frozen=True):
    """A topic as the broker describes it to this user."""

    error: int
    """Kafka's error code; 0 when the topic exists and may be described."""
    partitions: int
    replication: int
    """The smallest number of replicas of a partition."""
    leaderless: int
    """How many partitions have no leader."""
    allowed: int
    """The operations that this user may perform: bit n is the operation that Kafka numbers n."""

    def allows(self, operation: int) -> bool | None:
        """Whether this user may perform the operation, such as READ; None if the broker does not report it."""
        return _allows(self.allowed, operation)


def _allows(allowed: int, operation: int) -> bool | None:
    return None if allowed == _NOT_REPORTED else bool(allowed >> operation & 1)


class Member(Struct, frozen=True):
    """A member of a consumer group."""

    client_id: str
    client_host: str
    """The address from which it is connected, after a slash."""
    partitions: Mapping[str, Sequence[int]]
    """The partitions that are assigned to it, by topic."""


class Group(Struct, frozen=True):
    """A consumer group, as its coordinator describes it."""

    is_stable: bool
    """False while a rebalance lasts, and without members: no partitions are assigned then."""
    members: Sequence[Member]
    can_join: bool | None
    """Whether this user may join it; None if the broker does not report it."""


class Metadata(Struct, frozen=True):
    """The cluster, as one broker describes it."""

    brokers: Sequence[int]
    """The ids of the brokers."""
    topics: Mapping[str, TopicMetadata]


async def metadata(client: AIOKafkaAdminClient, names: Sequence[str], node: int | None = None) -> Metadata:
    """Describe the cluster and each topic, as `node` knows them, or any broker.

    A topic that does not exist, or that this user may not describe, has an error code.
    Used instead of the client's `describe_topics`, which creates missing topics on brokers that create them
    automatically. Raises KafkaError, OSError or TimeoutError.
    """
    response = (await send_request(client, _TopicsRequest(names), node)).to_object()
    topics = {
        topic["name"]: TopicMetadata(
            topic["error_code"],
            len(topic["partitions"]),
            min((len(each["replicas"]) for each in topic["partitions"]), default=0),
            sum(each["leader"] < 0 for each in topic["partitions"]),
            topic["allowed"],
        )
        for topic in response["topics"]
    }
    return Metadata([broker["node_id"] for broker in response["brokers"]], topics)


async def create_topics(
    client: AIOKafkaAdminClient, topics: Sequence[NewTopic], *, validate_only: bool
) -> Mapping[str, tuple[int, str]]:
    """Create the topics, or with `validate_only` let the controller check whether it would.

    Returns each topic's error code, and the broker's own reason, which may be empty. Raises KafkaError, OSError or
    TimeoutError.
    """
    response = (await send_to_controller(client, _CreateRequest(topics, validate_only=validate_only))).to_object()
    return {topic["name"]: (topic["error_code"], topic["error"] or "") for topic in response["topics"]}


async def configs(
    client: AIOKafkaAdminClient, kind: ConfigResourceType, names: Iterable[str]
) -> Mapping[str, Mapping[str, str]]:
    """The settings of topics or brokers by name, except for those whose settings this user may not read.

    Raises KafkaError, OSError or TimeoutError.
    """
    resources = [ConfigResource(kind, name) for name in names]
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for response in (await client.describe_configs(resources) if resources else ())
        for error, _text, _kind, name, entries in response.resources
        if error == NO_ERROR
    }


async def max_versions(client: AIOKafkaAdminClient) -> Mapping[int, int]:
    """The newest version of each request that a broker supports, by API key.

    Raises KafkaError, OSError or TimeoutError.
    """
    response = await send_request(client, ApiVersionRequest())
    return {key: newest for key, _, newest in response.api_versions}


async def coordinator(client: AIOKafkaAdminClient, key: str, *, is_transactional: bool) -> int:
    """The node that coordinates a group or a transactional id.

    Raises the KafkaError that the broker responds with, OSError or TimeoutError.
    """
    response = await send_request(client, FindCoordinatorRequest(key, int(is_transactional)))
    if response.error_code:
        raise for_code(response.error_code)
    node: int = response.coordinator_id
    return node


async def verify_transactional_id(client: AIOKafkaAdminClient, node: int, transactional_id: str, topic: str) -> None:
    """Verify that this user may use the transactional id.

    Requests that a producer that does not exist adds a partition to its transaction. The broker checks the permission
    for the id before it checks the producer, so no transaction starts and no producer is fenced.

    Raises TransactionalIdAuthorizationFailed, or the error of a coordinator that is not available. Other errors are
    about the producer, or about the topic, which is checked elsewhere.
    """
    request = AddPartitionsToTxnRequest(transactional_id, _NO_PRODUCER, _NO_PRODUCER, [(topic, [0])])
    response = await send_request(client, request, node)
    error = for_code(response.errors[0][1][0][1])
    if issubclass(error, (TransactionalIdAuthorizationFailed, *_COORDINATOR_ERRORS)):
        raise error


async def describe_group(client: AIOKafkaAdminClient, node: int, group: str) -> Group:
    """The group, as its coordinator, this node, describes it.

    Raises the KafkaError that the broker responds with, OSError or TimeoutError.
    """
    (description,) = (await send_request(client, _GroupsRequest(group), node)).to_object()["groups"]
    if description["error_code"]:
        raise for_code(description["error_code"])
    members = [
        Member(each["client_id"], each["client_host"], _assigned(each["assignment"])) for each in description["members"]
    ]
    return Group(description["state"] == "Stable", members, _allows(description["allowed"], READ))


def _assigned(assignment: bytes | None) -> Mapping[str, Sequence[int]]:
    """The partitions in a member's assignment, by topic; none if it has another format than that of consumers."""
    try:
        _version, topics, _user_data = _ASSIGNMENT.decode(BytesIO(assignment or b""))
    except ValueError:
        return {}
    return dict(topics)


async def advertised_addresses(connection: Any) -> list[tuple[str, int]]:  # noqa: ANN401 - aiokafka has no types
    """The host and port at which each broker of the cluster advertises itself: clients connect to these.

    Raises KafkaError, OSError or TimeoutError.
    """
    return [(broker[1], broker[2]) for broker in (await connection.send(MetadataRequest([]))).brokers]


async def sasl_mechanisms(connection: Any) -> list[str]:  # noqa: ANN401 - aiokafka has no types
    """The mechanisms that the listener offers. Raises KafkaError, OSError or TimeoutError where it offers none."""
    return sorted((await connection.send(SaslHandShakeRequest("PLAIN"))).enabled_mechanisms)
