"""`collector schema --register` when the registry cannot be used, or an option is wrong: one line, exit code 2."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from collector.commands.register import register, register_one
from collector.errors import NeedsOperator, RetryLater, UserError
from collector.registry.client import MAX_RESPONSE_BYTES, Credentials, schema_registry
from collector.registry.compatibility import Compatibility
from collector.registry.failures import MAX_MESSAGE, SchemaRejected
from collector.secrets import Secret
from tests.commands.harness import closed_port, collector, write_config
from tests.vendors.loopback import serving

pytestmark = pytest.mark.anyio

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
USER, PASSWORD = "collector", "the right password"
HTML = "<html><body>Sign in</body></html>"


def responds(status: int, text: str, headers: Mapping[str, str] | None = None) -> Handler:
    async def handler(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers=headers, content_type="text/html")

    return handler


async def requires_password(request: web.BaseRequest) -> web.StreamResponse:
    expected = aiohttp.encode_basic_auth(USER, PASSWORD)
    if expected != request.headers.get("Authorization"):
        return web.json_response({"error_code": 401, "message": "Unauthorized"}, status=401)
    return web.json_response({"compatibilityLevel": "FORWARD"})


def password_file(folder: Path, password: str = PASSWORD) -> Path:
    path = folder / "password"
    path.write_text(f"{password}\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("handler", "code", "advice"),
    [
        (requires_password, "http_401", "requires a user and a password"),
        (responds(200, HTML), "registry_response", "/subjects"),
        (responds(200, "[]"), "registry_response", "/subjects"),
        (responds(200, '{"compatibility": "FORWARD"}'), "registry_response", "/subjects"),
        (responds(200, f'"{"x" * MAX_RESPONSE_BYTES}"'), "registry_response", "/subjects"),
        (responds(200, "[" * 100_000), "registry_response", "/subjects"),
        (responds(302, "", {"Location": "https://elsewhere.example"}), "http_302", "redirects"),
        (responds(403, HTML), "http_403", "allow the user"),
        (responds(404, HTML), "http_404", "/subjects"),
        (responds(404, '{"error_code": 404, "message": "HTTP 404 Not Found"}'), "http_404", "/subjects"),
        (responds(407, HTML), "http_407", "proxy"),
    ],
)
async def test_an_operator_must_act(handler: Handler, code: str, advice: str) -> None:
    async with serving(handler) as url, schema_registry(url) as registry:
        with pytest.raises(NeedsOperator) as caught:
            await registry.compatibility("sessions-value")

    assert code == caught.value.code
    assert advice in caught.value.advice
    assert "<html>" not in str(caught.value)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_a_failure_of_the_server_may_pass(status: int) -> None:
    async with serving(responds(status, HTML)) as url, schema_registry(url) as registry:
        with pytest.raises(RetryLater) as caught:
            await registry.compatibility("sessions-value")

    assert f"http_{status}" == caught.value.code


async def test_the_user_and_the_password_are_sent(tmp_path: Path) -> None:
    credentials = Credentials(USER, Secret.model_validate({"file": str(password_file(tmp_path))}))
    async with serving(requires_password) as url, schema_registry(url, credentials) as registry:
        assert "FORWARD" == await registry.compatibility("sessions-value")


async def test_a_wrong_password_is_reported_but_not_shown(tmp_path: Path) -> None:
    path = password_file(tmp_path, "a wrong password")
    config = write_config(tmp_path, "https://vendor.example/api")
    async with serving(requires_password) as url:
        result = await collector(
            *("schema", "--register", url, "--config", config, "--username", USER, "--password-file", str(path))
        )

    assert (2, "") == (result.code, result.out)
    (line,) = result.err.splitlines()
    assert "HTTP 401" in line
    assert "check the user and the password" in line
    assert "a wrong password" not in line


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_dead_port_is_reported_with_its_address(tmp_path: Path, scheme: str) -> None:
    config, port = write_config(tmp_path, "https://vendor.example/api"), closed_port()

    result = await collector("schema", "--register", f"{scheme}://127.0.0.1:{port}", "--config", config)

    assert (2, "") == (result.code, result.out)
    (line,) = result.err.splitlines()
    assert f"127.0.0.1:{port}: Connection refused" in line


async def test_requests_to_loopback_use_no_proxy(tmp_path: Path) -> None:
    config = write_config(tmp_path, "https://vendor.example/api")
    proxies = {"http_proxy": f"http://127.0.0.1:{closed_port()}", "all_proxy": f"http://127.0.0.1:{closed_port()}"}
    async with serving(responds(403, HTML)) as url:
        result = await collector("schema", "--register", url, "--config", config, env=proxies)

    assert "HTTP 403" in result.err


async def test_other_requests_use_the_proxy_of_the_environment(tmp_path: Path) -> None:
    config, seen = write_config(tmp_path, "https://vendor.example/api"), list[str]()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(str(request.url))
        return web.Response(status=502, text=HTML)

    async with serving(handler) as proxy:
        result = await collector(
            "schema", "--register", "http://registry.example/api", "--config", config, env={"http_proxy": proxy}
        )

    assert 2 == result.code
    assert ["http://registry.example/api/config/collector.dead_letters-value"] == seen


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            """{"error_code": 409, "message": "Incompatible, details: [{errorType:'X'}, {oldSchema: '{}'}]"}""",
            "Incompatible, details: [{errorType:'X'}",
        ),
        ('{"message": "org.example.Bad: a\\n\\u001b[31mb"}', "a [31mb"),
        (f'{{"message": "{"x" * 1000}"}}', "x" * MAX_MESSAGE + "…"),
        ('{"message": null}', "HTTP 409"),
        (HTML, "HTTP 409"),
    ],
)
async def test_the_reason_of_a_refusal_is_one_line_of_text(body: str, reason: str) -> None:
    async with serving(responds(409, body)) as url, schema_registry(url) as registry:
        with pytest.raises(SchemaRejected) as caught:
            await registry.register("sessions-value", {})

    assert reason == str(caught.value)


async def test_a_subject_that_is_read_only_is_not_reported_as_incompatible() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith("/config/"):
            return web.json_response({"compatibilityLevel": "FORWARD"})
        return web.json_response({"error_code": 42205, "message": "Subject sessions-value is read-only"}, status=422)

    async with serving(handler) as url, schema_registry(url) as registry:
        outcome = await register_one(registry, "sessions-value", {}, Compatibility.FORWARD)

    assert ("refused", "the registry reports: Subject sessions-value is read-only") == (outcome.state, outcome.text)


async def test_a_schema_without_a_version_yet_is_registered() -> None:
    """Another instance of a registry may respond to the second request."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path.endswith("/versions"):
            return web.json_response({"id": 7})
        return web.json_response({"error_code": 40403, "message": "Schema not found"}, status=404)

    async with serving(handler) as url, schema_registry(url) as registry:
        registered = await registry.register("sessions-value", {})

    assert (7, None) == (registered.id, registered.version)


@pytest.mark.parametrize(
    ("url", "options", "code"),
    [
        ("https://user:password@registry.example", {}, "invalid_url"),
        ("ftp://registry.example", {}, "invalid_url"),
        ("registry.example:8081", {}, "invalid_url"),
        ("https://registry.example/?token=x", {}, "invalid_url"),
        ("https://registry.example", {"username": USER}, "incomplete_credentials"),
        ("https://registry.example", {"password_file": Path("password")}, "incomplete_credentials"),
        ("https://registry.example", {"username": "a:b", "password_file": Path("password")}, "invalid_username"),
        ("http://registry.example", {"username": USER, "password_file": Path("password")}, "registry_insecure"),
        ("http://127.0.0.1:1", {"username": USER, "password_file": Path("/nowhere")}, "secret_unreadable"),
    ],
)
def test_wrong_options_are_refused_before_a_request(
    tmp_path: Path, url: str, options: Mapping[str, str | Path], code: str
) -> None:
    config = Path(write_config(tmp_path, "https://vendor.example/api"))
    given = {"username": None, "password_file": None, **options}

    with pytest.raises(UserError) as caught:
        register(config, url, Compatibility.FORWARD, **given, report=pytest.fail)  # type: ignore[arg-type]

    assert code == caught.value.code
    assert "user:password" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--compatibility", "FULL"),
        ("--username", USER),
        ("--password-file", "password"),
        ("--asyncapi", "--register", "https://registry.example"),
        ("seemetrix.session.v1", "--register", "https://registry.example"),
        ("--register", "https://registry.example", "--compatibility", "SIDEWAYS"),
    ],
)
async def test_options_that_exclude_each_other_are_wrong_input(arguments: tuple[str, ...]) -> None:
    result = await collector("schema", *arguments)

    assert (2, "") == (result.code, result.out)
    assert "--register" in result.err or "--compatibility" in result.err
