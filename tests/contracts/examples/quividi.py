"""The examples of Quividi."""

from functools import partial
from typing import Any

from collector.model import Account
from collector.pipeline.message import Origin
from collector.vendors.quividi.rows import Rows, finest_rows
from tests.contracts.examples.example import Example
from tests.rows import export_rows
from tests.vendors.quividi import aggregated, finest
from tests.vendors.quividi.example import PARIS

SOURCE, USER = "airport", "airport"


def example(stream: str, rows: Rows[Any], response: bytes) -> Example:
    return Example(
        Origin(Account("quividi", USER), SOURCE, stream),
        rows.dedup_mode,
        lambda: rows.read(export_rows(response) or (), *aggregated.YEAR),
        partial(rows.explode, user=USER),
    )


EXAMPLES = (
    *(example(stream, finest_rows(stream, PARIS), response) for stream, response in finest.RESPONSES.items()),
    *(example(stream, aggregated.aggregates(stream), response) for stream, response in aggregated.EXAMPLES.items()),
)
