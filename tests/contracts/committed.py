"""The committed contract: docs/schemas/ and docs/events.md, which are generated from the code."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from collector import schemas
from collector.commands.asyncapi import asyncapi
from collector.commands.schema import schema
from collector.schemas import event_types, json_schema
from tests.contracts.additions import breaking_changes as changes_between
from tests.contracts.examples import examples
from tests.contracts.markdown import events

DOCS = Path(__file__).parents[2] / "docs"
SCHEMAS = DOCS / "schemas"
EXAMPLES = Path(schemas.__file__).with_name(schemas.EXAMPLES)
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


@cache
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
"""The contract of each released version: `<version>.json` as `collector schema` printed it, and
`<version>.asyncapi.json` as `collector schema --asyncapi` did."""


def breaking_changes_since_releases() -> Iterator[str]:
    """The changes of released types that are not additions, and would break consumers of that release."""
    kinds = event_types()
    for path in sorted(RELEASED.glob("*.asyncapi.json")):
        version = path.name.removesuffix(".asyncapi.json")
        for topic, channel in json.loads(path.read_text("utf-8"))["channels"].items():
            (policy,) = channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]
            for name in channel["messages"]:
                if name in kinds and (topic, policy == "compact") != (kinds[name].topic, kinds[name].compacted):
                    yield f"since {version}: {name} moved from the topic {topic} with the policy {policy}"
        for name, released in json.loads((RELEASED / f"{version}.json").read_text("utf-8")).items():
            found = changes_between(released, json_schema(kinds[name])) if name in kinds else ["removed"]
            yield from (f"since {version}: {name} {change}" for change in found)


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
