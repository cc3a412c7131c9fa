"""The values on which generated code is tested: the examples, simulated ones, and invalid ones."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import anyio
from msgspec import Struct

from collector.commands.schema import schema
from collector.schemas import event_types, examples
from tests.commands.harness import collector
from tests.commands.simulation import lines, simulating

Value = Mapping[str, Any]
DRAFTS = ("2020-12", "draft-07")
HOURS = ("--start", "2026-11-06T08:00:00Z", "--end", "2026-11-06T10:00:00Z", "--limit", "100000")
SEEMETRIX = """
[sources.mall.streams.sessions]
[sources.mall.streams.devices]
[sources.mall.streams.counters]
[sources.mall.streams.statistics]
[sources.mall.streams.breakdown]
levels = ["devices", "ages", "genders"]
resolution = "1d"
"""
QUIVIDI = """
[sources.airport.streams.viewers]
[sources.airport.streams.viewers_apc]
content_ids = ["content 8001", "content 8002"]
[sources.airport.streams.viewers_aggregated]
group_by_demographics = true
[sources.airport.streams.ots]
[sources.airport.streams.gate]
[sources.airport.streams.proof_of_play_by_location]
"""
STREAMS = re.findall(r"sources\.(\w+)\.streams\.(\w+)", SEEMETRIX + QUIVIDI)


class Messages(Struct, frozen=True):
    """Values of messages."""

    valid: Sequence[Value]
    invalid: Sequence[tuple[str, Value]]
    """Examples with one change that the schema does not allow, each after the name of its type."""


@cache
def schemas(draft: str) -> Any:  # noqa: ANN401 - JSON
    """All schemas by the name of their type. The result is shared, and must not be changed."""
    return json.loads(schema(None, draft_07=draft == "draft-07"))


def example_values() -> dict[str, Value]:
    """The example of each type, by its name."""
    found = {name: each["value"] for name, each in examples().items()}
    assert event_types().keys() == found.keys()
    return found


def invalid_values() -> Iterator[tuple[str, Value]]:
    """Yield each example without one of its required fields, and with a value of another type or format in it."""
    for name, value in example_values().items():
        schema_of_type = schemas("2020-12")[name]
        properties = schema_of_type["properties"]
        for field in value:
            if field in schema_of_type["required"]:  # fields that were added to a released type are not
                yield name, {other: each for other, each in value.items() if other != field}
            yield name, {**value, field: {"unexpected": True}}
            if properties[field].get("format") == "date-time" and value[field] is not None:
                yield name, {**value, field: "yesterday"}


def simulated_values(folder: Path) -> list[Value]:
    """The values of the messages of some hours of the simulated vendors, as `collector preview` prints them."""
    with simulating("--fast", "--devices", "3", "--rate", "120") as (_, printed):
        mall, airport = printed.split("[sources.airport]")
        config = folder / "config.toml"
        config.write_text(f"{mall}{SEEMETRIX}[sources.airport]{airport}{QUIVIDI}", "utf-8")
        return anyio.run(_preview_all, config)


async def _preview_all(config: Path) -> list[Value]:
    found: list[Value] = []
    few = anyio.CapacityLimiter(2)

    async def preview(source: str, stream: str) -> None:
        async with few:
            done = await collector("preview", source, stream, "--config", str(config), *HOURS)
        assert 0 == done.code, done.err
        previewed = [line["value"] for line in lines(done)]
        assert previewed, stream
        found.extend(previewed)

    async with anyio.create_task_group() as tasks:
        for source, stream in STREAMS:
            tasks.start_soon(preview, source, stream)
    return found
