"""Stream handles for tests in which no vendor is polled."""

from datetime import timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from collector.kafka.settings import KafkaSettings
from collector.model import Account, DedupMode, EventType
from collector.pipeline.message import Origin
from collector.stream_handle import StreamHandle
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from tests.simulated import SimulatedClock


def handle_of(
    status: StreamStatus,
    account: Account,
    types: list[EventType],
    *,
    clock: SimulatedClock | None = None,
    registry: object = None,
    topic_prefix: str = "",
    progress_prefix: str = "",
) -> StreamHandle:
    """A handle of a stream with this status. The prefixes are those of its Origin."""
    stream = SimpleNamespace(
        account=account,
        source=status.source,
        name=status.stream,
        dedup_mode=DedupMode.VERSIONED,
        fields_version=1,
        max_clock_offset=timedelta(0),
        former=None,
        policy=None,
        zone=None,
        zones="",
        event_types=types,
    )
    settings = SimpleNamespace(
        kafka=KafkaSettings(),
        sources={status.source: SimpleNamespace(since=None, secrets={})},
        origin=lambda account, source, name: Origin(
            account, source, name, topic_prefix=topic_prefix, progress_prefix=progress_prefix
        ),
    )
    telemetry = StreamTelemetry(Metrics(), status, [each.name for each in types])
    given = (cast("Any", stream), cast("Any", settings), telemetry, clock or SimulatedClock(), Random(1), lambda: None)
    return StreamHandle(*given, cast("Any", registry))
