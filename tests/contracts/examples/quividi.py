"""The examples of Quividi."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from collector.instants import to_ms
from collector.model import Account, DedupMode, Event, Record, Reject
from collector.pipeline.message import Origin
from collector.steps import at_once
from collector.vendors.quividi import alerts, monitoring
from collector.vendors.quividi.rows import Rows, finest_rows
from collector.vendors.quividi.topology import listing
from collector.vendors.quividi.topology.listings import LISTINGS
from tests.contracts.examples.example import REQUESTED_AT, Example
from tests.rows import export_rows
from tests.vendors.quividi import aggregated, configured, finest, status, topology
from tests.vendors.quividi.example import PARIS

SOURCE, USER = "airport", "airport"
SEEN_MS = to_ms(REQUESTED_AT)


def topology_example(stream: str) -> Example:
    """The example of the first list of a stream."""
    first = LISTINGS[stream][0]
    return Example(
        Origin(Account("quividi", USER), SOURCE, stream),
        DedupMode.LATEST,
        lambda: listing.read(
            first, at_once(listing.decode(topology.RESPONSES[topology.PATHS[stream][0]])), SEEN_MS, USER
        ),
        partial(listing.explode, event_type=first.event_type, user=USER),
    )


def example(
    stream: str, rows: Rows[Any], response: bytes, bounds: tuple[datetime, datetime] = aggregated.YEAR
) -> Example:
    return Example(
        Origin(Account("quividi", USER), SOURCE, stream),
        rows.dedup_mode,
        lambda: rows.read(export_rows(response) or (), *bounds),
        partial(rows.explode, user=USER),
    )


def status_example(
    stream: str, records: Callable[[], Iterable[Record[Any] | Reject]], explode: Callable[..., Iterator[Event]]
) -> Example:
    origin = Origin(Account("quividi", USER), SOURCE, stream)
    return Example(origin, DedupMode.VERSIONED, records, partial(explode, user=USER))


EXAMPLES = (
    *(example(stream, finest_rows(stream, PARIS), response) for stream, response in finest.RESPONSES.items()),
    *(example(stream, aggregated.aggregates(stream), response) for stream, response in aggregated.ALL_EXAMPLES.items()),
    *(
        example(form.stream, configured.rows_of(form), configured.response(rows), configured.YEAR_2026)
        for form, rows in configured.FORMS
    ),
    status_example("alerts", lambda: status.read_alerts(status.ALERTS), alerts.explode),
    status_example("monitoring", lambda: status.read_messages(status.MESSAGES), monitoring.explode),
    *map(topology_example, LISTINGS),
)
