"""The committed contract is that of the code, and the code does not break it."""

from pathlib import Path

import msgspec
import pytest

from collector.schemas import event_types
from tests.contracts.committed import (
    DOCS,
    EXAMPLES,
    HOW_TO_ADD,
    RELEASED,
    breaking_changes,
    breaking_changes_since_releases,
    example_messages,
    files,
    without_example,
)
from tests.contracts.examples import examples
from tests.contracts.kept import check_message


def test_every_type_has_an_example() -> None:
    missing = without_example()
    assert not missing, f"{', '.join(missing)}: {HOW_TO_ADD}"


def test_committed_types_only_change_by_additions() -> None:
    changes = list(breaking_changes())
    assert not changes, "these changes need a new version of the type:\n" + "\n".join(changes)


def test_the_examples_are_up_to_date() -> None:
    assert example_messages() == EXAMPLES.read_text("utf-8"), "run `make schemas`"


def test_released_types_only_change_by_additions() -> None:
    changes = list(breaking_changes_since_releases())
    assert not changes, "these changes need a new version of the type:\n" + "\n".join(changes)


def test_the_contract_of_0_2_0_is_released() -> None:
    assert {"0.2.0.json", "0.2.0.asyncapi.json"} <= {path.name for path in RELEASED.iterdir()}


@pytest.mark.parametrize("path", files() if not without_example() else (), ids=lambda path: str(path.relative_to(DOCS)))
def test_committed_files_are_up_to_date(path: Path) -> None:
    committed = path.read_text("utf-8") if path.exists() else ""
    assert files()[path] == committed, "run `make schemas`"


@pytest.mark.parametrize("name", examples())
def test_an_example_is_valid(name: str) -> None:
    message, kind = examples()[name], event_types()[name]

    check_message(message)
    value = msgspec.json.decode(message.value)
    assert (kind.topic, message.id.decode()) == (message.topic, value.get("event_id", message.id.decode()))
