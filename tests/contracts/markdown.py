"""docs/events.md: what is true of all events, written by hand, then every type out of its schema, with an example."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from collector.cloudevents import Message
from collector.commands.schema import json_schema
from collector.model import EventType
from tests.contracts.fields import fields

HEAD = Path(__file__).with_name("events.head.md")
NOTE = "<!-- Made by `make schemas`: change tests/contracts/events.head.md, or what the code says of a field. -->\n"


def events(kinds: Iterable[EventType], examples: Mapping[str, Message]) -> str:
    kinds = list(kinds)
    return "\n".join([NOTE + HEAD.read_text("utf-8"), *_topics(kinds), *(_type(kind, examples) for kind in kinds)])


def _topics(kinds: Iterable[EventType]) -> Iterator[str]:
    yield "| topic | type | one message is |\n|---|---|---|"
    for kind in kinds:
        compacted = ", *compacted*" if kind.compacted else ""
        link = f"[`{kind.name}`](#{kind.name.replace('.', '')})"
        yield f"| `{kind.topic}`{compacted} | {link} | {_cell(_summary(json_schema(kind)['description']))} |"
    yield ""


def _type(kind: EventType, examples: Mapping[str, Message]) -> str:
    schema, message = json_schema(kind), examples[kind.name]
    return f"""\
## {kind.name}

{schema["description"]}

Topic `{kind.topic}`{", compacted" if kind.compacted else ""}; [schema](schemas/{kind.name}.json).

| field | type | |
|---|---|---|
{chr(10).join(_rows(schema))}

For example, with the key `{message.key.decode()}` and the subject `{message.subject.decode()}`:

```json
{json.dumps(json.loads(message.value), indent=2, ensure_ascii=False)}
```
"""


def _rows(schema: Mapping[str, Any]) -> Iterator[str]:
    for path, field in fields(schema):
        yield f"| `{path}` | {_kind(field)} | {_cell(field['description'])} |"


def _kind(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        kinds = dict.fromkeys(_kind(each) for each in field["anyOf"])
        if "number" in kinds:
            kinds.pop("integer", None)  # is one
        return " or ".join(kinds)
    if "enum" in field:
        return ", ".join(f"`{word}`" for word in field["enum"])
    if "items" in field:
        return f"array of {_kind(field['items'])}"
    if field.get("format") == "date-time":
        return "time"
    return str(field.get("type", "object"))


def _summary(description: str) -> str:
    return description.partition("\n\n")[0]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
