"""`collector check` on the broken things that people have on the vendors' side: what is wrong, where, what to do."""

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

from collector.commands import check as checking
from collector.commands.check import Finding, check, clock
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
async def vendors(ahead_s: int = 0) -> AsyncIterator[Simulated]:
    async with serving(World(devices=PLACES), host="127.0.0.1", port=0, ahead_s=ahead_s) as running:
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


async def checked(folder: Path, *sources: str) -> dict[str, Finding]:
    """What was found, with a Kafka that is nowhere."""
    path, found = folder / "config.toml", list[Finding]()
    kafka = f'[kafka]\nbootstrap_servers = "127.0.0.1:{closed_port()}"\ntransaction_timeout = "3s"\n'
    path.write_text("".join((kafka, *sources)), "utf-8")
    assert not await anyio.to_thread.run_sync(lambda: check(path, found.append, offline=False))
    assert {"kafka"} <= {each.what for each in found if not each.ok}
    return {each.what: each for each in found}


def assert_failed(found: dict[str, Finding], what: str, *texts: str) -> None:
    assert not found[what].ok
    assert [] == [text for text in texts if text not in found[what].text], found[what].text


async def test_accounts_that_are_right_say_what_they_may_see_and_their_clock_is_one(tmp_path: Path) -> None:
    async with vendors() as running:
        found = await checked(tmp_path, mall(running.seemetrix_url), airport(running.quividi_url))

    host = running.address.removeprefix("http://")
    assert Finding("sources.mall", ok=True, text="3 devices") == found["sources.mall"]
    assert Finding("sources.airport", ok=True, text="3 locations") == found["sources.airport"]
    assert "agrees with this machine's" == found[f"clock of {host}"].text
    assert 5 == len(found)


async def test_wrong_keys_and_users(tmp_path: Path) -> None:
    async with vendors() as running:
        wrong = (mall(running.seemetrix_url, key="wrong-key"), airport(running.quividi_url, token="wrong-token"))
        found = await checked(tmp_path, *wrong)
        user = await checked(tmp_path, mall(running.seemetrix_url, user_id=865))

    assert_failed(found, "sources.mall", "HTTP 401", "the key is wrong")
    assert_failed(found, "sources.airport", "HTTP 401", "the key is wrong")
    assert_failed(user, "sources.mall", "HTTP 403", "check the user and the ids")


async def test_ids_that_the_account_does_not_own_are_named_with_the_key_to_correct(tmp_path: Path) -> None:
    async with vendors() as running:
        devices = mall(running.seemetrix_url, more="device_ids = [3024, 4711]")
        found = await checked(tmp_path, devices, airport(running.quividi_url, more="locations = [3024, 4711, 4712]"))
        sites = await checked(tmp_path, airport(running.quividi_url, more="sites = [302, 471]"))

    assert_failed(found, "sources.mall", "no device 4711", "correct sources.mall.device_ids")
    assert_failed(found, "sources.airport", "no location 4711, 4712", "correct sources.airport.locations")
    assert_failed(sites, "sources.airport", "no site 471", "correct sources.airport.sites")


@pytest.mark.parametrize("path", ["", "/ap", "/api/v3", "/api/user"])
async def test_a_base_url_with_a_wrong_path_is_told_as_such(tmp_path: Path, path: str) -> None:
    async with vendors() as running:
        found = await checked(tmp_path, mall(running.address + path))

    assert_failed(found, "sources.mall", "HTTP 404", "check base_url (scheme, host, path such as /api)")


async def test_a_slash_at_the_end_of_base_url_does_not_matter(tmp_path: Path) -> None:
    async with vendors() as running:
        slashes = (mall(running.seemetrix_url + "/"), airport(running.quividi_url + "//"))
        found = await checked(tmp_path, *slashes)

    assert found["sources.mall"].ok
    assert found["sources.airport"].ok


async def test_a_page_of_html_in_the_place_of_an_answer_is_a_matter_of_base_url(tmp_path: Path) -> None:
    page = responding(b"<!doctype html><title>Welcome</title>", headers={"Content-Type": "text/html"})
    async with loopback.serving(page) as url:
        found = await checked(tmp_path, mall(url), airport(url))

    assert_failed(found, "sources.mall", "the answer is a page of HTML", "check base_url: host and path")
    assert_failed(found, "sources.airport", "whoami is a page of HTML", "check base_url: host and path")


@pytest.mark.parametrize(
    ("location", "texts"),
    [
        ("https://elsewhere.example/api/?key=simulated-key", ("a redirect to https,", "write base_url with https")),
        ("/api/user/864/devices", ("to the same path with another slash", "check the path in base_url")),
        ("http://elsewhere.example/", ("a redirect, which is not followed", "check base_url: scheme, host and path")),
        ("//[", ("a redirect, which is not followed", "check base_url")),
    ],
)
async def test_a_redirect_says_what_to_write_instead(tmp_path: Path, location: str, texts: Sequence[str]) -> None:
    async with loopback.serving(responding(status=301, headers={"Location": location})) as url:
        found = await checked(tmp_path, mall(f"{url}/api"))

    assert_failed(found, "sources.mall", "HTTP 301", *texts)
    assert seemetrix.KEY not in found["sources.mall"].text


async def test_a_host_that_there_is_not_and_one_that_refuses(tmp_path: Path) -> None:
    found = await checked(
        tmp_path, mall("https://vendor.invalid/api"), airport(f"http://127.0.0.1:{closed_port()}/api/v1")
    )

    assert_failed(found, "sources.mall", "no connection to vendor.invalid:443", "check base_url")
    assert_failed(found, "sources.airport", "no connection to 127.0.0.1", "Connection refused", "check base_url")


@contextmanager
def speaking_tls() -> Iterator[str]:
    """The URL of a server with a certificate of an authority that nobody knows; who turns away is no error here."""
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


async def test_a_certificate_that_is_not_trusted_is_told_with_what_is_wrong_with_it(tmp_path: Path) -> None:
    with speaking_tls() as url:
        found = await checked(tmp_path, mall(f"{url}/api"))

    assert_failed(
        found, "sources.mall", "the certificate of 127.0.0.1 is not trusted (", "certificate)", "the authority"
    )


async def test_https_to_a_port_that_speaks_http(tmp_path: Path) -> None:
    async with loopback.serving(responding()) as url:
        found = await checked(tmp_path, mall(url.replace("http:", "https:")))

    assert_failed(found, "sources.mall", "no TLS with 127.0.0.1:", "does this port speak https?")


@pytest.mark.parametrize(
    ("ahead_s", "texts"),
    [
        (HOUR_S, ("0:59:59", "1:00:00", "ahead of this machine's", "NTP")),
        (-HOUR_S, ("0:59:59", "1:00:00", "behind this machine's and more than settle (0:02:00)", "new streams begin")),
    ],
)
async def test_a_clock_that_is_an_hour_off_is_told_in_its_direction(
    tmp_path: Path, ahead_s: int, texts: Sequence[str]
) -> None:
    async with vendors(ahead_s) as running:
        found = await checked(tmp_path, mall(running.seemetrix_url))

    assert found["sources.mall"].ok
    (told,) = [each for each in found.values() if each.what.startswith("clock of ")]
    assert not told.ok
    span, *others = [text for text in texts if text in told.text]
    assert span in texts[:2]
    assert list(texts[2:]) == others


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
    ("ahead_s", "ok", "text"),
    [
        (None, True, "not told"),
        (0.0, True, "agrees"),
        (10.4, True, "agrees"),
        (-10.4, True, "agrees"),
        (11.0, False, "0:00:11 ahead of this machine's, and events come that much later"),
        (-11.0, False, "0:00:11 behind this machine's: set"),
        (-16.0, False, "0:00:16 behind this machine's and more than settle (0:00:15): set"),
    ],
)
def test_clocks_may_differ_by_seconds(ahead_s: float | None, ok: bool, text: str) -> None:
    found = clock(source(), ahead_s)

    assert "clock of analytics.3divi.ru" == found.what
    assert (ok, True) == (found.ok, text in found.text)


async def test_a_silent_vendor_holds_up_neither_the_others_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "DEADLINE_S", 4.0)

    began = time.monotonic()
    async with loopback.tcp_server(sends_then_stalls()) as silent, vendors() as running:
        found = await checked(tmp_path, mall(silent), airport(running.quividi_url))
    took_s = time.monotonic() - began

    assert found["sources.airport"].ok
    assert_failed(found, "sources.mall", "not done within 4 s", "try again later")
    assert took_s < 60, "the timeout of a request"
