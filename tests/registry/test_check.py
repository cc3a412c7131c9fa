"""`collector check` reports which schemas the registry has, and registers none."""

import json
from collections.abc import Collection
from pathlib import Path

import pytest
from aiohttp import web

from collector.registry.client import schema_registry
from collector.registry.subjects import registry_schema, subject_of
from collector.schemas import event_types
from tests.commands.harness import collector, write_config
from tests.registry.stub import Stub, stub_registry
from tests.vendors.loopback import serving

pytestmark = pytest.mark.anyio

STREAMS = "[sources.mall.streams.devices]\n"
TYPES = {"seemetrix.device.v1", "collector.dead_letter.v1", "collector.progress.v1"}


async def register(stub: Stub, names: Collection[str]) -> None:
    async with schema_registry(stub.url) as registry:
        for name in names:
            event_type = event_types()[name]
            await registry.register(subject_of(f"acme.{event_type.topic}"), registry_schema(event_type))


def config(folder: Path, url: str, more: str) -> str:
    """The path of a configuration with this registry."""
    path = Path(write_config(folder, "https://127.0.0.1:1/api", more=STREAMS))
    text = path.read_text("utf-8").replace("[kafka]", '[kafka]\ntopic_prefix = "acme."')
    path.write_text(f'{text}\n[kafka.schema_registry]\nurl = "{url}"\n{more}', "utf-8")
    return str(path)


async def check(folder: Path, url: str, more: str = "") -> tuple[bool, str]:
    """The finding about the registry."""
    result = await collector("check", "--json", "--config", config(folder, url, more))
    found = [each for line in result.out.splitlines() if (each := json.loads(line))["what"] == "kafka.schema_registry"]
    ((ok, text),) = [(each["ok"], each["text"]) for each in found]
    return ok, text


async def test_a_registry_that_has_all_schemas_is_ok(tmp_path: Path) -> None:
    async with stub_registry() as stub:
        await register(stub, TYPES)
        ok, text = await check(tmp_path, stub.url, "register = false\n")

    assert ok
    assert "all 3 topics" in text


@pytest.mark.parametrize(("more", "is_ok"), [("", True), ("register = false\n", False)])
async def test_missing_schemas_are_named_and_are_wrong_if_nobody_registers_them(
    tmp_path: Path, more: str, *, is_ok: bool
) -> None:
    async with stub_registry() as stub:
        await register(stub, TYPES - {"seemetrix.device.v1"})
        before = {subject: list(versions) for subject, versions in stub.versions.items()}
        ok, text = await check(tmp_path, stub.url, more)

    assert is_ok == ok
    assert "acme.seemetrix.devices-value" in text
    assert "acme.collector.progress-value" not in text
    assert before == {subject: versions for subject, versions in stub.versions.items() if versions}
    assert not stub.compatibility


async def test_a_registry_that_is_away_is_reported_with_advice(tmp_path: Path) -> None:
    async with stub_registry() as stub:
        stub.is_away = True
        ok, text = await check(tmp_path, stub.url)

    assert not ok
    assert "HTTP 503" in text


@pytest.mark.parametrize("status", [409, 422])
async def test_a_registry_without_json_schemas_is_reported(tmp_path: Path, status: int) -> None:
    """Registries refuse a schema of a type that they do not know also when it is only looked up."""

    async def refuse(_: web.BaseRequest) -> web.Response:
        return web.json_response({"error_code": 42201, "message": "Invalid schema type JSON"}, status=status)

    async with serving(refuse) as url:
        ok, text = await check(tmp_path, url)

    assert not ok
    assert "Invalid schema type JSON" in text


async def test_a_password_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    user = 'username = "ann"\npassword = { env = "NO_SUCH_PASSWORD" }\n'
    async with stub_registry() as stub:
        ok, text = await check(tmp_path, stub.url, user)

    assert not ok
    assert "NO_SUCH_PASSWORD" in text
