"""The parts of Kafka's protocol that the proxy decodes, and the error responses that it encodes."""

from enum import IntEnum
from io import BytesIO
from types import ModuleType
from typing import Any

from aiokafka.protocol import coordination, group, produce, transaction
from aiokafka.protocol.api import RequestHeader_v1, RequestStruct, ResponseHeader_v0
from aiokafka.protocol.types import Array, Bytes, String
from msgspec import Struct

HEADER_BYTES = 8
"""API key, version and correlation id of a request; a response starts with the correlation id alone."""


class Api(IntEnum):
    """The API keys of the requests that the tests deal with."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    API_VERSIONS = 18
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS = 25
    END_TXN = 26


GROUP_APIS = frozenset({Api.JOIN_GROUP, Api.HEARTBEAT, Api.LEAVE_GROUP, Api.SYNC_GROUP})

ERROR_RESPONSE_APIS = frozenset(
    {
        Api.PRODUCE,
        Api.ADD_PARTITIONS_TO_TXN,
        Api.END_TXN,
        Api.INIT_PRODUCER_ID,
        Api.ADD_OFFSETS,
        Api.FIND_COORDINATOR,
        *GROUP_APIS,
    }
)
"""APIs for which the proxy can encode an error response, in the versions that aiokafka uses (no flexible ones)."""


class Request(Struct, frozen=True):
    """A client's frame, without its length."""

    api: int
    version: int
    correlation: int
    frame: bytes

    def contains_id(self, text: str) -> bool:
        """Whether a string field equals the text, such as a transactional id or a group."""
        return bool(String("utf-8").encode(text) in self.frame)


def decode_request(frame: bytes) -> Request:
    return Request(_number(frame[0:2]), _number(frame[2:4]), correlation_id(frame[4:]), frame)


def correlation_id(response: bytes) -> int:
    return _number(response[:4])


def error_response(request: Request, code: int) -> bytes:
    """The response to the request with this error code, in each of its partitions if it has any."""
    schema = _struct(request)
    response = schema.RESPONSE_TYPE
    body = BytesIO(request.frame)
    RequestHeader_v1.SCHEMA.decode(body)
    match request.api:
        case Api.PRODUCE:
            *_, partitions = response.SCHEMA.fields[0].array_of.fields
            unknown = (-1,) * (len(partitions.array_of.fields) - 2)  # offset, timestamp, first offset
            topics = [
                (topic, [(number, code, *unknown) for number, _ in sent]) for topic, sent in _topics(schema, body)
            ]
            fields: list[Any] = [topics, 0]
        case Api.ADD_PARTITIONS_TO_TXN:
            fields = [0, [(topic, [(number, code) for number in numbers]) for topic, numbers in _topics(schema, body)]]
        case _:
            known = {"error_code": code, "throttle_time_ms": 0}
            named = zip(response.SCHEMA.names, response.SCHEMA.fields, strict=True)
            fields = [known[name] if name in known else _empty(kind) for name, kind in named]
    return bytes(ResponseHeader_v0(request.correlation).encode() + response(*fields).encode())


def error_code(request: Request, response: bytes) -> int:
    """The error code of the response, or the first one other than 0 if each partition has one."""
    body = BytesIO(response[4:])
    decoded = _struct(request).RESPONSE_TYPE.decode(body)
    match request.api:
        case Api.PRODUCE:
            codes = [partition[1] for _, partitions in decoded.topics for partition in partitions]
        case Api.ADD_PARTITIONS_TO_TXN:
            codes = [code for _, partitions in decoded.errors for _, code in partitions]
        case _:
            codes = [decoded.error_code]
    return next((int(code) for code in codes if code), 0)


def _topics(schema: Any, body: BytesIO) -> list[Any]:  # noqa: ANN401 - aiokafka has no types
    return list(schema.decode(body).topics)


def _empty(kind: object) -> Any:  # noqa: ANN401 - a value for any field
    if isinstance(kind, Array):
        return []
    if isinstance(kind, String):
        return ""
    return b"" if kind is Bytes else -1


def _number(digits: bytes) -> int:
    return int.from_bytes(digits, "big", signed=True)


def _struct(request: Request) -> Any:  # noqa: ANN401 - aiokafka has no types
    return _STRUCTS[request.api, request.version]


def _structs(*modules: ModuleType) -> dict[tuple[int, int], Any]:
    found: list[Any] = [each for module in modules for each in vars(module).values() if isinstance(each, type)]
    named = [each for each in found if issubclass(each, RequestStruct) and each is not RequestStruct]
    return {(each.API_KEY, each.API_VERSION): each for each in named}


_STRUCTS = _structs(produce, transaction, coordination, group)
