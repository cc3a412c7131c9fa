"""The committed contract: docs/schemas/ and docs/events.md, which are generated from the code."""

import json
from collections.abc import Iterator
from pathlib import Path

from collector.commands import schema as schema_module
from collector.commands.asyncapi import asyncapi
from collector.commands.schema import event_types, json_schema, schema
from tests.contracts.additions import breaking_changes as changes_between
from tests.contracts.examples import examples
from tests.contracts.markdown import events

DOCS = Path(__file__).parents[2] / "docs"
SCHEMAS = DOCS / "schemas"
EXAMPLES = Path(schema_module.__file__).with_name(schema_module.EXAMPLES)
"""The example messages that the schemas and the AsyncAPI document contain."""
HOW_TO_ADD = "add an entry to EXAMPLES of its vendor in tests/contracts/examples/"
ASYNCAPI = SCHEMAS / "asyncapi.json"


def example_messages() -> str:
    """The expected contents of the file of examples."""
    found = {
        name: {
            "headers": {header: value.decode() for header, value in message.headers},
            "value": json.loads(message.value),
        }
        for name, message in sorted(examples().items())
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def files() -> dict[Path, str]:
    """The expected contents of each file."""
    kinds = event_types()
    return {
        **{SCHEMAS / f"{name}.json": schema(name) + "\n" for name in kinds},
        **{SCHEMAS / "draft-07" / f"{name}.json": schema(name, draft_07=True) + "\n" for name in kinds},
        ASYNCAPI: asyncapi() + "\n",
        DOCS / "events.md": events(kinds.values(), examples()),
    }


RELEASED = SCHEMAS / "released"
"""The schemas of each released version, as `collector schema` printed them."""


def breaking_changes_since_releases() -> Iterator[str]:
    """The changes of released types that are not additions, and would break consumers of that release."""
    kinds = event_types()
    for path in sorted(RELEASED.glob("*.json")):
        for name, released in json.loads(path.read_text("utf-8")).items():
            found = changes_between(released, json_schema(kinds[name])) if name in kinds else ["removed"]
            yield from (f"since {path.stem}: {name} {change}" for change in found)


def breaking_changes() -> Iterator[str]:
    """The changes of committed types that are not additions, and would break consumers."""
    kinds = event_types()
    for path in sorted(SCHEMAS.glob("*.v*.json")):
        name = path.stem
        if name not in kinds:
            yield f"{name}: removed"
            continue
        committed = json.loads(path.read_text("utf-8"))
        yield from (f"{name} {change}" for change in changes_between(committed, json_schema(kinds[name])))
        if (topic := _committed_topic(name)) not in (None, kinds[name].topic):
            yield f"{name}: moved from the topic {topic}"


def _committed_topic(name: str) -> str | None:
    if not ASYNCAPI.exists():
        return None
    channels = json.loads(ASYNCAPI.read_text("utf-8"))["channels"]
    return next((topic for topic, channel in channels.items() if name in channel["messages"]), None)


def without_example() -> list[str]:
    """The types that have no example in tests/contracts/examples/."""
    return sorted(event_types().keys() - examples().keys())
