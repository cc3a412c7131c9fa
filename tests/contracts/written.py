"""The contract as it is committed: docs/schemas/ and docs/events.md, made of the code."""

import json
from collections.abc import Iterator
from pathlib import Path

from collector.commands.asyncapi import asyncapi
from collector.commands.schema import event_types, json_schema, schema
from tests.contracts.additions import breaks
from tests.contracts.examples import examples
from tests.contracts.markdown import events

DOCS = Path(__file__).parents[2] / "docs"
SCHEMAS = DOCS / "schemas"
HOW_TO_ADD = "add an entry to EXAMPLES of its vendor in tests/contracts/examples/"
ASYNCAPI = SCHEMAS / "asyncapi.json"


def files() -> dict[Path, str]:
    """What each file must hold."""
    kinds = event_types()
    return {
        **{SCHEMAS / f"{name}.json": schema(name) + "\n" for name in kinds},
        ASYNCAPI: asyncapi() + "\n",
        DOCS / "events.md": events(kinds.values(), examples()),
    }


def broken() -> Iterator[str]:
    """What the code changes in a committed type beyond additions, which consumers would trip over."""
    kinds = event_types()
    for path in sorted(SCHEMAS.glob("*.v*.json")):
        name = path.stem
        if name not in kinds:
            yield f"{name}: is gone"
            continue
        committed = json.loads(path.read_text("utf-8"))
        yield from (f"{name} {told}" for told in breaks(committed, json_schema(kinds[name])))
        if (topic := _committed_topic(name)) not in (None, kinds[name].topic):
            yield f"{name}: was in the topic {topic}"


def _committed_topic(name: str) -> str | None:
    if not ASYNCAPI.exists():
        return None
    channels = json.loads(ASYNCAPI.read_text("utf-8"))["channels"]
    return next((topic for topic, channel in channels.items() if name in channel["messages"]), None)


def without_example() -> list[str]:
    """See tests/contracts/examples/."""
    return sorted(event_types().keys() - examples().keys())
