"""Kafka's frames, as far as the proxy understands them; and answers of its own."""

from enum import IntEnum
from io import BytesIO
from types import ModuleType
from typing import Any

from aiokafka.protocol import coordination, group, produce, transaction
from aiokafka.protocol.api import RequestHeader_v1, RequestStruct, ResponseHeader_v0
from aiokafka.protocol.types import Array, Bytes, String
from msgspec import Struct

HEADER_BYTES = 8
"""Of each request: API key, version, correlation id; an answer begins with the correlation id alone."""


class Api(IntEnum):
    """Kafka's API keys, those that are of interest here."""

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
"""What the proxy can answer by itself, in the versions that aiokafka speaks; all of them are inflexible ones."""


class Request(Struct, frozen=True):
    """A client's frame, without its length."""

    api: int
    version: int
    correlation: int
    frame: bytes

    def names(self, text: str) -> bool:
        """Whether it has the text as a string of its own, not as a part of one: a transactional id, a group."""
        return bool(String("utf-8").encode(text) in self.frame)


def request(frame: bytes) -> Request:
    return Request(_number(frame[0:2]), _number(frame[2:4]), correlation_id(frame[4:]), frame)


def correlation_id(answer: bytes) -> int:
    return _number(answer[:4])


def refusal(asked: Request, code: int) -> bytes:
    """An answer to the request that says nothing but this error code, to each of its partitions where it has some."""
    schema = _struct(asked)
    answer = schema.RESPONSE_TYPE
    body = BytesIO(asked.frame)
    RequestHeader_v1.SCHEMA.decode(body)
    match asked.api:
        case Api.PRODUCE:
            *_, places = answer.SCHEMA.fields[0].array_of.fields
            unknown = (-1,) * (len(places.array_of.fields) - 2)  # offset, timestamp, first offset
            told = [(topic, [(number, code, *unknown) for number, _ in sent]) for topic, sent in _topics(schema, body)]
            fields: list[Any] = [told, 0]
        case Api.ADD_PARTITIONS_TO_TXN:
            fields = [0, [(topic, [(number, code) for number in numbers]) for topic, numbers in _topics(schema, body)]]
        case _:
            known = {"error_code": code, "throttle_time_ms": 0}
            named = zip(answer.SCHEMA.names, answer.SCHEMA.fields, strict=True)
            fields = [known[name] if name in known else _nothing(kind) for name, kind in named]
    return bytes(ResponseHeader_v0(asked.correlation).encode() + answer(*fields).encode())


def error_code(asked: Request, answer: bytes) -> int:
    """What the answer says; the first partition's error, or 0, where each has one."""
    body = BytesIO(answer[4:])
    told = _struct(asked).RESPONSE_TYPE.decode(body)
    match asked.api:
        case Api.PRODUCE:
            codes = [place[1] for _, places in told.topics for place in places]
        case Api.ADD_PARTITIONS_TO_TXN:
            codes = [code for _, places in told.errors for _, code in places]
        case _:
            codes = [told.error_code]
    return next((int(code) for code in codes if code), 0)


def _topics(schema: Any, body: BytesIO) -> list[Any]:  # noqa: ANN401 - aiokafka has no types
    return list(schema.decode(body).topics)


def _nothing(kind: object) -> Any:  # noqa: ANN401 - a value for any field
    if isinstance(kind, Array):
        return []
    if isinstance(kind, String):
        return ""
    return b"" if kind is Bytes else -1


def _number(digits: bytes) -> int:
    return int.from_bytes(digits, "big", signed=True)


def _struct(asked: Request) -> Any:  # noqa: ANN401 - aiokafka has no types
    return _STRUCTS[asked.api, asked.version]


def _structs(*modules: ModuleType) -> dict[tuple[int, int], Any]:
    found: list[Any] = [each for module in modules for each in vars(module).values() if isinstance(each, type)]
    named = [each for each in found if issubclass(each, RequestStruct) and each is not RequestStruct]
    return {(each.API_KEY, each.API_VERSION): each for each in named}


_STRUCTS = _structs(produce, transaction, coordination, group)
