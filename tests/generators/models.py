"""Python classes that datamodel-code-generator makes of the schemas."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from collector.schemas import event_types, type_name
from tests.consumers import environments
from tests.generators.messages import Value, schemas

LOCK = Path(__file__).parent / "python" / "requirements.txt"
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def generate(draft: str, folder: Path) -> Mapping[str, type[BaseModel]]:
    """Generate the code of all schemas, and import it. The classes are by the name of their type."""
    given, generated = folder / "schemas", folder / "generated"
    given.mkdir()
    for name, schema in schemas(draft).items():
        (given / f"{name}.json").write_text(json.dumps(schema), "utf-8")
    options = {
        "--input": given,
        "--input-file-type": "jsonschema",
        "--output": generated,
        "--output-model-type": "pydantic_v2.BaseModel",
        "--formatters": "builtin",
    }
    python = environments.python_with(LOCK)
    arguments = [str(each) for option in options.items() for each in option]
    subprocess.run([python, "-m", "datamodel_code_generator", *arguments], check=True, capture_output=True)
    modules = {path.stem: _import(draft, path) for path in generated.glob("*_v*.py")}
    return {
        name: getattr(modules[name.replace(".", "_")], type_name(event_type))
        for name, event_type in event_types().items()
    }


def _import(draft: str, path: Path) -> ModuleType:
    name = f"generated_{draft.replace('-', '_')}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def round_trip(model: type[BaseModel], value: Value) -> Any:  # noqa: ANN401 - JSON
    """Parse the JSON of a value, and return what the JSON of the parsed object contains."""
    return json.loads(model.model_validate_json(json.dumps(value)).model_dump_json())


def with_instants(part: object) -> object:
    """The same with the instants of timestamps: pydantic writes them with another number of digits."""
    if isinstance(part, dict):
        return {name: with_instants(each) for name, each in part.items()}
    if isinstance(part, list):
        return [with_instants(each) for each in part]
    if isinstance(part, str) and _TIMESTAMP.fullmatch(part):
        return datetime.fromisoformat(part)
    return part


def not_equal(models: Mapping[str, type[BaseModel]], values: Iterator[Value]) -> list[Value]:
    """The values that are not equal after a round trip."""
    return [
        value for value in values if with_instants(value) != with_instants(round_trip(models[value["type"]], value))
    ]
