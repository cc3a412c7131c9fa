"""`collector schema --register` without a URL uses the registry of the configuration."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.commands.harness import collector, write_config
from tests.registry.stub import Stub, stub_registry
from tests.vendors.loopback import serving

pytestmark = pytest.mark.anyio

USER, PASSWORD = "collector", "the right password"
TABLE = """
[kafka.schema_registry]
url = "{url}"
username = "{user}"
password = {{ file = "{file}" }}
register = false
"""


@asynccontextmanager
async def protected() -> AsyncIterator[Stub]:
    """A registry that requires the user and the password."""
    stub = Stub()

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Authorization") != aiohttp.encode_basic_auth(USER, PASSWORD):
            return web.Response(status=401)
        return await stub.respond(request)

    async with serving(respond) as url:
        stub.url = url
        yield stub


def config(folder: Path, url: str, user: str = USER) -> str:
    (file := folder / "password").write_text(PASSWORD, "utf-8")
    return write_config(folder, "https://vendor.example/api", more=TABLE.format(url=url, user=user, file=file))


@pytest.mark.parametrize("options", [(), ("--compatibility", "FULL")])
async def test_url_and_user_are_those_of_the_configuration(tmp_path: Path, options: tuple[str, ...]) -> None:
    async with protected() as registry:
        path = config(tmp_path, registry.url)
        result = await collector("schema", "--config", path, "--register", *options)

    assert (0, "") == (result.code, result.err)
    assert {"registered"} == {line.split()[0] for line in result.out.splitlines()}
    assert "seemetrix.sessions-value" in registry.versions
    assert {options[-1] if options else "FORWARD"} == set(registry.compatibility.values())


async def test_another_user_may_be_given(tmp_path: Path) -> None:
    async with protected() as registry:
        path = config(tmp_path, registry.url, "ann")
        refused = await collector("schema", "--register", "--config", path)
        file = str(tmp_path / "password")
        done = await collector("schema", "--register", "--username", USER, "--password-file", file, "--config", path)

    assert (2, "") == (refused.code, refused.out)
    assert (0, "") == (done.code, done.err)


@pytest.mark.parametrize("option", [("--register={url}",), ("--register", "{url}")])
async def test_a_url_replaces_that_of_the_configuration_and_its_user(tmp_path: Path, option: tuple[str, ...]) -> None:
    async with protected() as other, stub_registry() as registry:
        arguments = [each.format(url=registry.url) for each in option]
        result = await collector("schema", *arguments, "--config", config(tmp_path, other.url))

    assert (0, "") == (result.code, result.err)
    assert not other.requests
    assert "seemetrix.sessions-value" in registry.versions


@pytest.mark.parametrize("arguments", [("--register",), ("--register=",), ("--register", "--compatibility", "FULL")])
async def test_without_url_and_table_it_is_wrong_input(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    path = write_config(tmp_path, "https://vendor.example/api")
    result = await collector("schema", *arguments, "--config", path)

    assert (2, "") == (result.code, result.out)
    assert not [fact for fact in ("[kafka.schema_registry]", path, "URL") if fact not in result.err]


async def test_without_a_url_no_type_may_be_named(tmp_path: Path) -> None:
    path = write_config(tmp_path, "https://vendor.example/api")
    result = await collector("schema", "seemetrix.session.v1", "--register", "--config", path)

    assert (2, "") == (result.code, result.out)
    assert "name no type" in result.err
