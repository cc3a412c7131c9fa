"""`collector check` against vendors that are misconfigured, unreachable, slow or have a wrong clock."""

import ssl
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import anyio
import pytest
import trustme
from pydantic import TypeAdapter

from collector.commands import check as check_module
from collector.commands.check import check, check_clock
from collector.commands.finding import Finding
from collector.simulator import seemetrix, vidicenter
from collector.simulator.server import Simulated, serving
from collector.simulator.world import World
from collector.vendors import AnySource
from collector.vendors.source import SourceSettings
from tests.commands.harness import closed_port
from tests.vendors import loopback
from tests.vendors.loopback import responding, sends_then_stalls

pytestmark = pytest.mark.anyio

PLACES = (3024, 3035, 5315)
HOUR_S = 3600


@asynccontextmanager
async def vendors(offset_s: int = 0) -> AsyncIterator[Simulated]:
    async with serving(World(devices=PLACES), host="127.0.0.1", port=0, clock_offset_s=lambda: offset_s) as running:
        yield running


def mall(base_url: str, *, user_id: int = seemetrix.USER, key: str = seemetrix.KEY, more: str = "") -> str:
    account = f'vendor = "seemetrix"\nbase_url = "{base_url}"\nuser_id = {user_id}\nuser_key = "{key}"\n'
    return f"[sources.mall]\n{account}{more}\n"


def airport(
    base_url: str,
    *,
    username: str = vidicenter.USERNAME,
    token: str = vidicenter.TOKEN,
    more: str = "locations = [3024]",
) -> str:
    account = f'vendor = "quividi"\nbase_url = "{base_url}"\nusername = "{username}"\ntoken = "{token}"\n'
    return f'[sources.airport]\n{account}timezone = "Europe/Paris"\n{more}\n'


async def findings(folder: Path, *sources: str) -> dict[str, Finding]:
    """The findings by `what`, with an unreachable Kafka."""
    path, found = folder / "config.toml", list[Finding]()
    kafka = f'[kafka]\nbootstrap_servers = "127.0.0.1:{closed_port()}"\ntransaction_timeout = "3s"\n'
    path.write_text("".join((kafka, *sources)), "utf-8")
    assert not await anyio.to_thread.run_sync(lambda: check(path, found.append))
    assert {"kafka"} <= {each.what for each in found if not each.ok}
    return {each.what: each for each in found}


def assert_failed(found: dict[str, Finding], what: str, *facts: str) -> None:
    assert not found[what].ok
    assert [] == [fact for fact in facts if fact not in found[what].text], found[what].text


async def test_valid_accounts_report_what_they_own_and_share_one_clock(tmp_path: Path) -> None:
    async with vendors() as running:
        found = await findings(tmp_path, mall(running.url("seemetrix")), airport(running.url("quividi")))

    host = running.address.removeprefix("http://")
    assert Finding("sources.mall", ok=True, text="3 devices") == found["sources.mall"]
    assert Finding("sources.airport", ok=True, text="3 locations") == found["sources.airport"]
    assert found[f"clock of {host}"].ok
    assert 5 == len(found)


async def test_a_wrong_key_and_a_wrong_user_fail(tmp_path: Path) -> None:
    async with vendors() as running:
        wrong = (mall(running.url("seemetrix"), key="wrong-key"), airport(running.url("quividi"), token="wrong-token"))
        found = await findings(tmp_path, *wrong)
        user = await findings(tmp_path, mall(running.url("seemetrix"), user_id=865))

    assert_failed(found, "sources.mall", "HTTP 401")
    assert_failed(found, "sources.airport", "HTTP 401")
    assert_failed(user, "sources.mall", "HTTP 403")


async def test_ids_that_the_account_does_not_own_fail_with_the_key_to_correct(tmp_path: Path) -> None:
    async with vendors() as running:
        devices = mall(running.url("seemetrix"), more="device_ids = [3024, 4711]")
        found = await findings(
            tmp_path, devices, airport(running.url("quividi"), more="locations = [3024, 4711, 4712]")
        )
        sites = await findings(tmp_path, airport(running.url("quividi"), more="sites = [302, 471]"))

    assert_failed(found, "sources.mall", "4711", "sources.mall.device_ids")
    assert_failed(found, "sources.airport", "4711", "4712", "sources.airport.locations")
    assert_failed(sites, "sources.airport", "471", "sources.airport.sites")


@pytest.mark.parametrize("path", ["", "/ap", "/api/v3", "/api/user"])
async def test_a_base_url_with_a_wrong_path_fails(tmp_path: Path, path: str) -> None:
    async with vendors() as running:
        found = await findings(tmp_path, mall(running.address + path))

    assert_failed(found, "sources.mall", "HTTP 404", "base_url")


async def test_slashes_at_the_end_of_base_url_are_ignored(tmp_path: Path) -> None:
    async with vendors() as running:
        slashes = (mall(running.url("seemetrix") + "/"), airport(running.url("quividi") + "//"))
        found = await findings(tmp_path, *slashes)

    assert found["sources.mall"].ok
    assert found["sources.airport"].ok


async def test_an_html_page_instead_of_json_fails_with_advice_to_check_base_url(tmp_path: Path) -> None:
    page = responding(b"<!doctype html><title>Welcome</title>", headers={"Content-Type": "text/html"})
    async with loopback.serving(page) as url:
        found = await findings(tmp_path, mall(url), airport(url))

    assert_failed(found, "sources.mall", "HTML", "base_url")
    assert_failed(found, "sources.airport", "whoami", "HTML", "base_url")


@pytest.mark.parametrize(
    ("location", "facts"),
    [
        ("https://elsewhere.example/api/?key=simulated-key", ("https", "base_url")),
        ("/api/user/864/devices", ("slash", "base_url")),
        ("http://elsewhere.example/", ("redirect", "base_url")),
        ("//[", ("redirect", "base_url")),
    ],
)
async def test_a_redirect_fails_with_advice_to_correct_base_url(
    tmp_path: Path, location: str, facts: Sequence[str]
) -> None:
    async with loopback.serving(responding(status=301, headers={"Location": location})) as url:
        found = await findings(tmp_path, mall(f"{url}/api"))

    assert_failed(found, "sources.mall", "HTTP 301", *facts)
    assert seemetrix.KEY not in found["sources.mall"].text


async def test_an_unknown_host_and_a_refused_connection_fail(tmp_path: Path) -> None:
    found = await findings(
        tmp_path, mall("https://vendor.invalid/api"), airport(f"http://127.0.0.1:{closed_port()}/api/v1")
    )

    assert_failed(found, "sources.mall", "vendor.invalid:443", "base_url")
    assert_failed(found, "sources.airport", "127.0.0.1", "Connection refused", "base_url")


@contextmanager
def untrusted_https() -> Iterator[str]:
    """The URL of a server with a certificate of an unknown authority. Clients that reject it cause no error here."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def test_an_untrusted_certificate_fails(tmp_path: Path) -> None:
    with untrusted_https() as url:
        found = await findings(tmp_path, mall(f"{url}/api"))

    assert_failed(found, "sources.mall", "certificate", "127.0.0.1", "not trusted")


async def test_https_to_a_port_of_plain_http_fails(tmp_path: Path) -> None:
    async with loopback.serving(responding()) as url:
        found = await findings(tmp_path, mall(url.replace("http:", "https:")))

    assert_failed(found, "sources.mall", "TLS", "127.0.0.1:", "https")


@pytest.mark.parametrize(
    ("offset_s", "facts"),
    [
        (HOUR_S, ("0:59:59", "1:00:00", "ahead", "NTP")),
        (-HOUR_S, ("0:59:59", "1:00:00", "behind", "settle (0:02:00)", "NTP")),
    ],
)
async def test_a_clock_that_is_an_hour_off_fails_with_the_direction_and_the_difference(
    tmp_path: Path, offset_s: int, facts: Sequence[str]
) -> None:
    async with vendors(offset_s) as running:
        found = await findings(tmp_path, mall(running.url("seemetrix")))

    assert found["sources.mall"].ok
    (clock,) = [each for each in found.values() if each.what.startswith("clock of ")]
    assert not clock.ok
    difference, *others = [fact for fact in facts if fact in clock.text]
    assert difference in facts[:2]
    assert list(facts[2:]) == others


def source(**keys: object) -> SourceSettings:
    given = {
        "vendor": "seemetrix",
        "user_id": 1,
        "user_key": "an-invented-key",
        "streams": {"sessions": {"settle": "15s"}},
        **keys,
    }
    found: SourceSettings = TypeAdapter(AnySource).validate_python(given)
    return found


@pytest.mark.parametrize(
    ("offset_s", "ok", "fact"),
    [
        (None, True, "not reported"),
        (0.0, True, "agrees"),
        (10.4, True, "agrees"),
        (-10.4, True, "agrees"),
        (11.0, False, "0:00:11 ahead"),
        (-11.0, False, "0:00:11 behind this machine's clock;"),
        (-16.0, False, "settle (0:00:15)"),
    ],
)
def test_a_clock_may_differ_by_ten_seconds(offset_s: float | None, ok: bool, fact: str) -> None:
    found = check_clock(source(), offset_s)

    assert "clock of analytics.3divi.ru" == found.what
    assert (ok, True) == (found.ok, fact in found.text)


async def test_a_vendor_that_does_not_respond_delays_neither_other_checks_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_module, "DEADLINE_S", 4.0)

    started = time.monotonic()
    async with loopback.tcp_server(sends_then_stalls()) as silent, vendors() as running:
        found = await findings(tmp_path, mall(silent), airport(running.url("quividi")))
    took_s = time.monotonic() - started

    assert found["sources.airport"].ok
    assert_failed(found, "sources.mall", "4 s")
    assert took_s < 60  # the timeout of a request


async def test_a_zone_with_a_place_that_is_not_selected_is_a_warning(tmp_path: Path) -> None:
    more = 'locations = [3024]\n[[sources.airport.zones]]\ntimezone = "America/New_York"\nlocations = [3035]'
    async with vendors() as running:
        found = await findings(tmp_path, airport(running.url("quividi"), more=more))

    zones = found["time zones of airport"]
    assert (True, True) == (zones.ok, zones.warning)
    assert [] == [
        fact for fact in ("location 3035", "America/New_York", "sources.airport.zones") if fact not in zones.text
    ]


async def test_the_proxy_of_a_source_is_shown_unless_the_vendor_is_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with vendors() as running:
        proxy = running.url("quividi").removesuffix("/api/v1")
        monkeypatch.setenv("http_proxy", proxy)
        remote = airport("http://vendor.example/api/v1", more="locations = [3024]\ninsecure_http = true")
        found = await findings(tmp_path, mall(running.url("seemetrix")), remote)
    assert found["sources.mall"].ok
    assert "http_proxy" not in found["sources.mall"].text
    assert found["sources.airport"].ok, found["sources.airport"].text
    assert f"the proxy {proxy.removeprefix('http://')} (http_proxy)" in found["sources.airport"].text
