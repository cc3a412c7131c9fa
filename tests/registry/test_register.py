"""`collector schema --register` with a real registry."""

import json
from pathlib import Path

import pytest

from collector.config import load
from collector.registry.client import schema_registry
from collector.registry.compatibility import Compatibility
from collector.registry.subjects import registry_schema
from collector.schemas import event_types
from tests.commands.harness import collector, write_config
from tests.registry.test_evolution import with_optional_field, without_field

pytestmark = pytest.mark.anyio

TOPICS = [
    "collector.dead_letters",
    "collector.progress",
    "seemetrix.attention",
    "seemetrix.content_views",
    "seemetrix.devices",
    "seemetrix.emotions",
    "seemetrix.sessions",
]
STREAMS = "[sources.mall.streams.sessions]\n[sources.mall.streams.devices]\n"
SESSION = registry_schema(event_types()["seemetrix.session.v1"])


def config(folder: Path, prefix: str) -> str:
    """The path of a configuration with two streams and a topic prefix."""
    path = Path(write_config(folder, "https://vendor.example/api", more=STREAMS))
    path.write_text(path.read_text("utf-8").replace("[kafka]", f'[kafka]\ntopic_prefix = "{prefix}"'), "utf-8")
    return str(path)


async def test_the_topics_of_the_configuration_are_registered(registry_url: str, tmp_path: Path, prefix: str) -> None:
    path = config(tmp_path, prefix)
    arguments = ("schema", "--register", registry_url, "--config", path)

    first, second = await collector(*arguments), await collector(*arguments)

    subjects = [f"{topic}-value" for topic in sorted(load(Path(path)).topics())]
    assert [f"{prefix}{topic}-value" for topic in TOPICS] == subjects
    assert (0, "") == (first.code, first.err)
    assert [("registered", f"{each}:", "version", "1,") for each in subjects] == [
        tuple(line.split()[:4]) for line in first.out.splitlines()
    ]
    assert (0, "") == (second.code, second.err)
    assert first.out.replace("registered", "unchanged ") == second.out
    async with schema_registry(registry_url) as registry:
        stored = await registry.latest(f"{prefix}seemetrix.sessions-value")
        assert stored is not None
        assert SESSION == json.loads(stored.schema)
        assert "FORWARD" == await registry.compatibility(f"{prefix}seemetrix.sessions-value")


async def test_another_compatibility_is_set(registry_url: str, tmp_path: Path, prefix: str) -> None:
    arguments = ("schema", "--register", registry_url, "--config", config(tmp_path, prefix))
    await collector(*arguments)

    result = await collector(*arguments, "--compatibility", "FULL_TRANSITIVE")

    assert 0 == result.code
    assert len(TOPICS) == result.out.count("unchanged ") == result.out.count("FULL_TRANSITIVE, formerly FORWARD\n")
    async with schema_registry(registry_url) as registry:
        assert "FULL_TRANSITIVE" == await registry.compatibility(f"{prefix}seemetrix.sessions-value")


async def test_a_release_that_adds_a_field_is_a_new_version(registry_url: str, tmp_path: Path, prefix: str) -> None:
    subject = f"{prefix}seemetrix.sessions-value"
    async with schema_registry(registry_url) as registry:
        await registry.set_compatibility(subject, Compatibility.FORWARD)
        await registry.register(subject, without_field(SESSION, "gender"))

    result = await collector("schema", "--register", registry_url, "--config", config(tmp_path, prefix))

    assert 0 == result.code
    assert f"registered {subject}: version 2, " in result.out


async def test_a_refused_schema_fails_the_command(registry_url: str, tmp_path: Path, prefix: str) -> None:
    """The others are registered nevertheless, and nothing is written to the subject of the refused one."""
    subject = f"{prefix}seemetrix.sessions-value"
    released = with_optional_field(SESSION)
    released["required"].append("added")
    async with schema_registry(registry_url) as registry:
        await registry.register(subject, released)

        result = await collector("schema", "--register", registry_url, "--config", config(tmp_path, prefix))

        latest = await registry.latest(subject)

    refused = [line for line in result.out.splitlines() if not line.startswith("registered ")]
    assert (1, "") == (result.code, result.err)
    assert len(TOPICS) == len(result.out.splitlines())
    (line,) = refused
    assert line.startswith(f"refused    {subject}: not FORWARD compatible: ")
    assert "compared with version 1, it removes added;" in line
    assert "OBJECT_TYPE_REQUIRED_PROPERTIES_MEMBER_ADDED" in line  # the registry's own reason
    assert "io.apicurio" not in line
    assert latest is not None
    assert 1 == latest.version
    assert released == json.loads(latest.schema)


async def test_a_url_below_which_no_registry_lies_is_wrong_input(
    registry_url: str, tmp_path: Path, prefix: str
) -> None:
    """Apicurio's own API is at another path than Confluent's."""
    url = registry_url.replace("ccompat/v7", "registry/v2")

    result = await collector("schema", "--register", url, "--config", config(tmp_path, prefix))

    assert (2, "") == (result.code, result.out)
    (line,) = result.err.splitlines()
    assert line.startswith("--register: ")
    assert "HTTP 404" in line
    assert "/apis/ccompat/v7" in line
