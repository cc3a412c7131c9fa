"""What is committed of the contract is what the code says, and the code breaks none of it."""

from pathlib import Path

import msgspec
import pytest

from collector.commands.schema import event_types
from tests.contracts.examples import examples
from tests.contracts.kept import check_message
from tests.contracts.written import DOCS, HOW_TO_ADD, broken, files, without_example


def test_every_type_has_an_example() -> None:
    missing = without_example()
    assert not missing, f"{', '.join(missing)}: {HOW_TO_ADD}"


def test_no_committed_type_changes_but_by_additions() -> None:
    told = list(broken())
    assert not told, "a type of a new version, in place of:\n" + "\n".join(told)


@pytest.mark.parametrize("path", files() if not without_example() else (), ids=lambda path: str(path.relative_to(DOCS)))
def test_what_is_committed_is_what_the_code_says(path: Path) -> None:
    there = path.read_text("utf-8") if path.exists() else ""
    assert files()[path] == there, "it is stale: make schemas"


@pytest.mark.parametrize("name", examples())
def test_an_example_keeps_its_contract(name: str) -> None:
    message, kind = examples()[name], event_types()[name]

    check_message(message)
    value = msgspec.json.decode(message.value)
    assert (kind.topic, message.id.decode()) == (message.topic, value.get("event_id", message.id.decode()))
