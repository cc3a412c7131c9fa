"""Go code that go-jsonschema makes of the schemas decodes and encodes every message."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from collector.schemas import event_types, type_name
from tests.consumers import environments
from tests.generators.messages import DRAFTS, Messages, Value, schemas
from tests.generators.models import with_instants

MODULE = Path(__file__).with_name("go")
ENVIRONMENT = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
MAIN = """\
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"

IMPORTS
)

var types = map[string]func() any{
TYPES
}

// Decodes each line, and prints it as it is encoded again.
func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var named struct{ Type string }
		check(json.Unmarshal(lines.Bytes(), &named))
		value := types[named.Type]()
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		check(decoder.Decode(value))
		check(json.NewEncoder(os.Stdout).Encode(value))
	}
	check(lines.Err())
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
"""


@pytest.mark.timeout(400)  # the generator is built once per checkout
@pytest.mark.parametrize("draft", DRAFTS)
def test_every_message_is_equal_after_a_round_trip(draft: str, messages: Messages, tmp_path: Path) -> None:
    generate(draft, tmp_path)
    text = "".join(json.dumps(value) + "\n" for value in messages.valid)

    subprocess.run(["go", "build", "-o", "program", "."], cwd=tmp_path, env=ENVIRONMENT, check=True)
    done = subprocess.run([tmp_path / "program"], input=text, capture_output=True, text=True, check=True)

    encoded = [with_added_fields(json.loads(line)) for line in done.stdout.splitlines()]
    assert with_instants(list(messages.valid)) == with_instants(encoded)


def with_added_fields(value: Value) -> Value:
    """The value with a null in each field that was added to its type: Go leaves it out, as it is not required."""
    schema = schemas("2020-12")[value["type"]]
    return {**dict.fromkeys(schema["properties"].keys() - set(schema["required"])), **value}


def generate(draft: str, folder: Path) -> None:
    """Write a program with a package for each type.

    Without `--only-models`, go-jsonschema 0.24 writes a method of an enumeration twice where a field may be null.
    """
    program = environments.go_tool(MODULE, "github.com/atombender/go-jsonschema")
    packages = {name: name.replace(".", "_") for name in event_types()}
    for name, schema in schemas(draft).items():
        (package := folder / packages[name]).mkdir()
        (given := folder / f"{name}.json").write_text(json.dumps(schema), "utf-8")
        options = ["--only-models", "--struct-name-from-title", "--tags", "json", "--package", packages[name]]
        command: list[str | Path] = [program, *options, "--output", package / "types.go", given]
        subprocess.run(command, check=True, capture_output=True)
    imports = "\n".join(f'\t"generated/{package}"' for package in packages.values())
    types = "\n".join(
        f'\t"{name}": func() any {{ return new({packages[name]}.{type_name(event_type)}) }},'
        for name, event_type in event_types().items()
    )
    (folder / "main.go").write_text(MAIN.replace("IMPORTS", imports).replace("TYPES", types), "utf-8")
    (folder / "go.mod").write_text("module generated\n\ngo 1.24\n", "utf-8")
