"""The examples of Quividi."""

from functools import partial
from typing import Any

from collector.model import Account
from collector.pipeline.message import Origin
from collector.vendors.quividi import events, wire
from collector.vendors.quividi.rows import FinestRows, Rows, ViewersApcRows
from tests.contracts.examples.example import Example
from tests.rows import export_rows
from tests.vendors.quividi import aggregated
from tests.vendors.quividi.example import EXPERT_RESPONSE, PARIS
from tests.vendors.quividi.test_contents import APC_RESPONSE

SOURCE, USER = "airport", "airport"


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
    *(example(stream, aggregated.aggregates(stream), response) for stream, response in aggregated.ALL_EXAMPLES.items()),
)
