"""The examples of Quividi."""

from functools import partial
from typing import Any

from collector.instants import to_ms
from collector.model import Account, DedupMode
from collector.pipeline.message import Origin
from collector.steps import at_once
from collector.vendors.quividi import events, wire
from collector.vendors.quividi.rows import FinestRows, Rows, ViewersApcRows
from collector.vendors.quividi.topology import listing
from collector.vendors.quividi.topology.listings import LISTINGS
from tests.contracts.examples.example import REQUESTED_AT, Example
from tests.rows import export_rows
from tests.vendors.quividi import aggregated, topology
from tests.vendors.quividi.example import EXPERT_RESPONSE, PARIS
from tests.vendors.quividi.test_contents import APC_RESPONSE

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


def example(stream: str, rows: Rows[Any], response: bytes) -> Example:
    return Example(
        Origin(Account("quividi", USER), SOURCE, stream),
        rows.dedup_mode,
        lambda: rows.read(export_rows(response) or (), *aggregated.YEAR),
        partial(rows.explode, user=USER),
    )


EXAMPLES = (
    example("viewers", FinestRows(PARIS, wire.read_viewer, events.explode_viewer), EXPERT_RESPONSE),
    example("viewers_apc", ViewersApcRows(PARIS), APC_RESPONSE),
    *(example(stream, aggregated.aggregates(stream), response) for stream, response in aggregated.EXAMPLES.items()),
    *map(topology_example, LISTINGS),
)
