"""What proves who is who is changed while the daemon runs: it gets well by itself, and loses and doubles nothing."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import anyio
import anyio.lowlevel
import pytest

from tests.faults.forwarder import Forwarder
from tests.kafka.daemon import EVENTS, Daemon, Reader, contents, reading, until
from tests.kafka.papers import WRONG, Papers, configured, sasl, tls
from tests.kafka.secured import PASSWORD, USER, SecuredBroker
from tests.vendor import Known, Vendor, expected_events, serving, session

pytestmark = pytest.mark.anyio

Steps = list[tuple[str, Callable[[], object]]]
"""What is told, and then done about it."""
SECOND = "the second/pass+word"


async def test_what_is_mended_is_noticed_without_a_restart(
    guarded: SecuredBroker, papers: Papers, prefix: str, tmp_path: Path
) -> None:
    """The authority, the client's certificate, the password: whatever is wrong at the start."""
    authority, own, password = tmp_path / "ca.pem", tmp_path / "client.pem", tmp_path / "password"
    authority.write_bytes(papers.stranger.read_bytes())
    own.write_bytes(papers.expired.read_bytes())
    password.write_text(WRONG, "utf-8")
    of_certificates: Steps = [
        ("is not trusted", partial(replace, authority, papers.authority)),
        (f"refuses the certificate in {own}", partial(replace, own, papers.own)),
    ]
    of_password: Steps = [
        (f"refuses the user {USER} or the password", password.unlink),
        ("no Kafka password: the secret file", partial(password.write_bytes, f"{PASSWORD}\r\n".encode())),
    ]
    async with serving(Vendor([])) as vendor, anyio.create_task_group() as tasks:
        daemon = Daemon(tmp_path, guarded.door("MUTUAL"), f"{prefix}1-", vendor)
        tasks.start_soon(_gets_well, configured(daemon, tls(authority, own)), of_certificates)
        daemon = Daemon(tmp_path, guarded.door("BOTH"), f"{prefix}2-", vendor)
        given = tls(papers.authority) | sasl(password={"file": password})
        tasks.start_soon(_gets_well, configured(daemon, given), of_password)


async def _gets_well(daemon: Daemon, steps: Steps) -> None:
    try:
        daemon.start()
        for said, mend in steps:
            await until(partial(not_ready, daemon, said), said)
            mend()
        await until(daemon.is_ready, "ready after all")
        await anyio.to_thread.run_sync(daemon.end)
    finally:
        daemon.close()
    log = daemon.log.read_text("utf-8")
    assert not [each for each in (WRONG, PASSWORD, "Traceback") if each in log]


async def not_ready(daemon: Daemon, said: str) -> bool:
    code, text = await daemon.get("/readyz")
    return code == 503 and said in text


def replace(path: Path, by: Path) -> None:
    """At once, as whoever is careful replaces a file."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(by.read_bytes())
    fresh.replace(path)


async def test_a_password_that_is_changed_on_both_sides_costs_nothing(
    guarded: SecuredBroker, papers: Papers, prefix: str, tmp_path: Path
) -> None:
    """Over TLS, with an authority of its own, a user and a password. Who is connected stays so, until he is cut off."""
    random, now = Random(5), datetime.now(UTC)
    vendor, expected = Vendor([]), Counter[tuple[str, str]]()
    password = tmp_path / "password"
    password.write_text(PASSWORD, "utf-8")
    since = (now - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    way = Forwarder(f"//{guarded.door('CUT')}", guarded.cut_port)
    async with (
        serving(vendor),
        way.serving(),
        reading(guarded.address, [prefix + topic for topic in EVENTS]) as reader,
    ):
        daemon = configured(
            Daemon(tmp_path, f"localhost:{guarded.cut_port}", prefix, vendor),
            tls(papers.authority) | sasl(password={"file": password}),
            since=since,
            allowed_lateness='"10m"',
        )

        async def publishes() -> None:
            told = session(datetime.now(UTC) - timedelta(seconds=5), random, len(vendor.known))
            vendor.known.append(Known(told, now))
            expected.update(expected_events(told))
            await until(lambda: _there(reader, expected), "the session is published")

        try:
            daemon.start()
            await publishes()

            await anyio.to_thread.run_sync(guarded.set_password, SECOND)
            await publishes()
            with way.cut(silent=False):
                await anyio.lowlevel.checkpoint()
            await until(lambda: not_ready(daemon, f"refuses the user {USER} or the password"), "refused, and said so")
            password.write_text(SECOND, "utf-8")
            await publishes()
            await until(daemon.is_ready, "ready again")
            await anyio.to_thread.run_sync(daemon.end)
        finally:
            daemon.close()
            await anyio.to_thread.run_sync(guarded.set_password, PASSWORD)
        assert expected == contents(await reader.to_the_end())
        assert 1 == max(Counter(message.id for message in reader.told).values())
    log = daemon.log.read_text("utf-8")
    assert not [each for each in (PASSWORD, SECOND, "Traceback") if each in log]
    assert 1 == log.count("the password or the certificates have changed"), "once it was cut off, and not before"


async def _there(reader: Reader, expected: Counter[tuple[str, str]]) -> bool:
    return not expected - contents(await reader.poll())
