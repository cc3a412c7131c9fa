"""Ajv, json-schema-to-typescript and AsyncAPI's parser accept the schemas, and what they make of them the messages."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from collector.commands.asyncapi import asyncapi
from collector.schemas import event_types, type_name
from tests.commands.configuration import SESSIONS
from tests.generators import node
from tests.generators.messages import DRAFTS, Messages, Value, example_values, schemas

ERROR = 0
"""The severity of errors among the diagnostics of AsyncAPI's parser."""
each_draft = pytest.mark.parametrize("draft", DRAFTS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for programs that use the packages."""
    node.prepare(tmp_path)
    return tmp_path


def validate(folder: Path, draft: str, values: Iterable[tuple[str, Value]]) -> Any:  # noqa: ANN401 - JSON
    """What Ajv logs in strict mode, and the number of the lines that are invalid."""
    path = folder / "values.jsonl"
    path.write_text("".join(json.dumps({"type": name, "value": value}) + "\n" for name, value in values), "utf-8")
    given = node.write_json(folder / "schemas.json", schemas(draft))
    return json.loads(node.run(folder, "ajv.mjs", draft, given, path))


@each_draft
def test_ajv_accepts_every_message_in_strict_mode(folder: Path, draft: str, messages: Messages) -> None:
    found = validate(folder, draft, ((value["type"], value) for value in messages.valid))

    assert {"logged": [], "lines": len(messages.valid), "invalid": []} == found


@each_draft
def test_ajv_refuses_invalid_values(folder: Path, draft: str, messages: Messages) -> None:
    found = validate(folder, draft, messages.invalid)

    assert list(range(len(messages.invalid))) == found["invalid"]


@each_draft
def test_typescript_accepts_the_examples_and_refuses_other_types(folder: Path, draft: str) -> None:
    given = node.write_json(folder / "schemas.json", schemas(draft))
    node.run(folder, "typescript.mjs", given, folder)
    (folder / "examples.ts").write_text("\n".join(map(assignments, example_values())), "utf-8")

    options = ("--strict", "--noEmit", "--module", "nodenext", "--target", "es2022", "--pretty", "false")
    done = node.execute(folder, "node_modules/typescript/bin/tsc", *options, "examples.ts")

    assert (0, "") == (done.returncode, done.stdout)


def assignments(name: str) -> str:
    """Assign the example to the type that is named as the schema's title, and then one that TypeScript must refuse."""
    title, value = type_name(event_types()[name]), example_values()[name]
    text = json.dumps(value)
    return f"""
import type {{ {title} }} from "./{name}.js";
export const valid{title}: {title} = {text};
export const invalid{title}: {title} = {{
...{text},
// @ts-expect-error: null is not a string
event_id: null,
}};
"""


def test_the_parser_finds_no_error_in_the_asyncapi_documents(folder: Path) -> None:
    (config := folder / "config.toml").write_text(f'kafka.topic_prefix = "shop."\n{SESSIONS}', "utf-8")
    whole, deployed, broken = (folder / name for name in ("whole.json", "deployed.json", "broken.json"))
    whole.write_text(asyncapi(), "utf-8")
    deployed.write_text(asyncapi(config), "utf-8")
    node.write_json(broken, json.loads(asyncapi()) | {"channels": {"sessions": {"topic": "sessions"}}})

    found = json.loads(node.run(folder, "asyncapi.mjs", whole, deployed, broken))

    assert [False, False, True] == [any(each["severity"] == ERROR for each in one["diagnostics"]) for one in found]
    assert sorted(event_types()) == sorted(found[0]["messages"])
    assert "seemetrix.session.v1" in found[1]["messages"]
