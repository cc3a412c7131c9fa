"""Requests that aiokafka has not, or not whole: they only ask, and change nothing.

Source: the Kafka protocol guide; KIP-430 (what one is allowed to do), KIP-98 (transactions).
"""

from collections.abc import Iterable, Mapping, Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest
from aiokafka.protocol.types import Array, Boolean, Bytes, Int16, Int32, Schema, String
from msgspec import Struct

READ, WRITE, DESCRIBE = 3, 4, 8
"""Operations, as Kafka numbers them."""
_TEXT = String("utf-8")
_AGAINST_IT = (
    TransactionalIdAuthorizationFailed,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
)
"""All else is about the producer, which there is not, or the topic, which is asked about elsewhere."""
_NOBODY = -1
"""The id of no producer: what is asked in its name is looked into, and then refused."""


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT))),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("name", _TEXT),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("in_sync", Array(Int32)),
                        ("offline", Array(Int32)),
                    ),
                ),
                ("allowed", Int32),
            ),
        ),
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


class _Metadata(Request[_MetadataStruct]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_MetadataStruct]) -> _MetadataStruct:
        return request_struct_class(self._topics, False, False, True)  # noqa: FBT003 - creates none; what is allowed


class _GroupsResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 15, 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            Array(
                ("error_code", Int16),
                ("group", _TEXT),
                ("state", _TEXT),
                ("protocol_type", _TEXT),
                ("protocol", _TEXT),
                (
                    "members",
                    Array(
                        ("member_id", _TEXT),
                        ("client_id", _TEXT),
                        ("client_host", _TEXT),
                        ("metadata", Bytes),
                        ("assignment", Bytes),
                    ),
                ),
                ("allowed", Int32),
            ),
        ),
    )


class _GroupsStruct(RequestStruct):  # type: ignore[misc]
    """aiokafka's own of this version reads the answer of an older one."""

    API_KEY, API_VERSION = 15, 3
    RESPONSE_TYPE = _GroupsResponse
    SCHEMA = Schema(("groups", Array(_TEXT)), ("include_authorized_operations", Boolean))


class _Groups(Request[_GroupsStruct]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_GroupsStruct]) -> _GroupsStruct:
        return request_struct_class([self._group], True)  # noqa: FBT003 - with what is allowed


class SeenTopic(Struct, frozen=True):
    """A topic as the broker shows it to us."""

    error: int
    partitions: int
    leaderless: int
    allowed: int

    def allows(self, operation: int) -> bool:
        return bool(self.allowed >> operation & 1)


async def topics(client: AIOKafkaAdminClient, names: Sequence[str]) -> Mapping[str, SeenTopic]:
    """Each of the topics, also those that are not there or may not be seen, which have an error."""
    answer = (await client._send_request(_Metadata(names))).to_object()  # noqa: SLF001 - there is no public way to ask
    return {
        told["name"]: SeenTopic(
            told["error_code"],
            len(told["partitions"]),
            sum(each["leader"] < 0 for each in told["partitions"]),
            told["allowed"],
        )
        for told in answer["topics"]
    }


async def broker_settings(client: AIOKafkaAdminClient, nodes: Iterable[int]) -> list[Mapping[str, str]]:
    """The settings of the brokers with these ids; without those that may not be seen."""
    resources = [ConfigResource(ConfigResourceType.BROKER, str(node)) for node in nodes]
    return [
        {entry[0]: entry[1] for entry in entries}
        for response in await client.describe_configs(resources)
        for error, _text, _kind, _name, entries in response.resources
        if not error
    ]


async def newest_versions(client: AIOKafkaAdminClient) -> Mapping[int, int]:
    """The newest version of each request that the broker understands."""
    answer = await client._send_request(ApiVersionRequest())  # noqa: SLF001
    return {key: newest for key, _, newest in answer.api_versions}


async def coordinator(client: AIOKafkaAdminClient, key: str, *, transactional: bool) -> int:
    """The node that looks after a group or a transactional id. Raises what the broker says against it."""
    answer = await client._send_request(FindCoordinatorRequest(key, int(transactional)))  # noqa: SLF001
    if answer.error_code:
        raise for_code(answer.error_code)
    node: int = answer.coordinator_id
    return node


async def may_transact(client: AIOKafkaAdminClient, node: int, transactional_id: str, topic: str) -> None:
    """Whether transactions may be made under the id. Raises what the broker says against it.

    A producer that there is not wants a partition in its transaction. Whether one may use the id is looked at first,
    and whose producer it is after that: nothing is begun, and nobody is fenced.
    """
    asked = AddPartitionsToTxnRequest(transactional_id, _NOBODY, _NOBODY, [(topic, [0])])
    answer = await client._send_request(asked, node)  # noqa: SLF001
    said = for_code(answer.errors[0][1][0][1])
    if issubclass(said, _AGAINST_IT):
        raise said


async def group_members(client: AIOKafkaAdminClient, node: int, group: str) -> tuple[int, bool]:
    """How many members the group has, and whether we may join it. Raises what the broker says against the question."""
    (told,) = (await client._send_request(_Groups(group), node)).to_object()["groups"]  # noqa: SLF001
    if told["error_code"]:
        raise for_code(told["error_code"])
    return len(told["members"]), bool(told["allowed"] >> READ & 1)
