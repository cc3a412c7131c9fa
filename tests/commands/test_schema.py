"""What `collector schema` promises: the contract of every event type, as JSON."""

import json

import pytest

from collector.commands.schema import event_types
from tests.commands.harness import collector

pytestmark = pytest.mark.anyio

TYPES = [
    "seemetrix.session.v1",
    "seemetrix.attention.v1",
    "seemetrix.emotion.v1",
    "seemetrix.content_view.v1",
    "collector.dead_letter.v1",
]


async def test_without_a_type_every_schema_is_printed_by_its_types_name() -> None:
    ended = await collector("schema")

    printed = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert set(TYPES) <= printed.keys()
    assert event_types().keys() == printed.keys()
    assert all(name == printed[name]["title"] for name in printed)


async def test_a_type_is_printed_alone_and_as_among_the_others() -> None:
    everything = json.loads((await collector("schema")).out)

    ended = await collector("schema", "seemetrix.session.v1")

    assert (ended.code, ended.err) == (0, "")
    assert everything["seemetrix.session.v1"] == json.loads(ended.out)


async def test_a_type_that_there_is_not_is_told_with_those_that_there_are() -> None:
    ended = await collector("schema", "seemetrix.session.v9")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("there is no type seemetrix.session.v9 (did you mean seemetrix.session.v1?): ")
    assert not [name for name in TYPES if name not in ended.err]


async def test_the_whole_contract_is_printed_as_an_asyncapi_document() -> None:
    ended = await collector("schema", "--asyncapi")

    printed = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert "3.0.0" == printed["asyncapi"]
    assert event_types().keys() == printed["components"]["messages"].keys()


async def test_the_document_is_of_all_types_at_once() -> None:
    ended = await collector("schema", "seemetrix.session.v1", "--asyncapi")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "--asyncapi is of all types: leave the type out\n"
