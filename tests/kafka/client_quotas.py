"""Limits how much the clients of a broker may produce, fetch or ask for."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka.conn import create_conn
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

from tests.kafka.broker import Broker

CLIENT = "collector"
"""The client id of all clients of the collector but the group's consumer; the tests' own clients have another."""
PRODUCED, FETCHED, REQUESTS = "producer_byte_rate", "consumer_byte_rate", "request_percentage"
"""Quotas: bytes per second of the clients of one id together, and their share of the broker's threads in percent."""
Entity = Mapping[str, str]
"""Whom a quota limits: `client-id`, `user`, or both."""
BY_CLIENT_ID: Entity = {"client-id": CLIENT}
_ENTITY = ("entity", Array(("entity_type", String("utf-8")), ("entity_name", String("utf-8"))))


class AlterClientQuotasResponse_v0(Response):  # type: ignore[misc]  # noqa: N801 - as aiokafka names them
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", String("utf-8")), _ENTITY)),
    )


class AlterClientQuotasRequest_v0(RequestStruct):  # type: ignore[misc]  # noqa: N801 - the same
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = AlterClientQuotasResponse_v0
    SCHEMA = Schema(
        (
            "entries",
            Array(_ENTITY, ("ops", Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean)))),
        ),
        ("validate_only", Boolean),
    )


class AlterClientQuotas(Request[AlterClientQuotasRequest_v0]):  # type: ignore[misc]
    """Sets quotas, by name; None removes one. aiokafka lacks this request (KIP-546)."""

    API_KEY = 49

    def __init__(self, entity: Entity, quotas: Mapping[str, float | None]) -> None:
        self._entity = list(entity.items())
        self._operations = [(name, value or 0.0, value is None) for name, value in quotas.items()]

    def build(self, request_struct_class: type[AlterClientQuotasRequest_v0]) -> AlterClientQuotasRequest_v0:
        return request_struct_class([(self._entity, self._operations)], False)  # noqa: FBT003 - a field of the request


@asynccontextmanager
async def limited(broker: Broker, quotas: Mapping[str, float], entity: Entity = BY_CLIENT_ID) -> AsyncIterator[None]:
    """Limit all clients of the entity together, until the end of the block. By default, those are the collector's."""
    await set_quotas(broker, quotas, entity)
    try:
        yield
    finally:
        await set_quotas(broker, dict.fromkeys(quotas), entity)


async def set_quotas(broker: Broker, quotas: Mapping[str, float | None], entity: Entity = BY_CLIENT_ID) -> None:
    """Set quotas of all clients of the entity together, by name; None removes one."""
    connection = await create_conn("127.0.0.1", broker.port)
    try:
        response = (await connection.send(AlterClientQuotas(entity, quotas))).to_object()
    finally:
        connection.close()
    assert [0] == [entry["error_code"] for entry in response["entries"]]
