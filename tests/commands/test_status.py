"""`collector status` prints what the status page shows, and its exit code says whether all is well."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from collector.commands.status_text import ORDER, is_well, lines
from collector.telemetry.status import STATES
from collector.web.server import serve_http
from tests.commands.harness import closed_port, collector
from tests.commands.terminal import Terminal
from tests.needs import need, no_ipv6
from tests.web import scenarios
from tests.web.scenarios import HOSTILE, NOW, Scenario

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def served(scenario: Scenario, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Serve the status of a scenario; the port."""
    port, status, registry = closed_port(), scenario.process_status, scenario.metrics.registry
    async with serve_http((host, port), status, registry, scenario.clock, max_age_s=0):
        yield port


def printed(scenario: Scenario) -> list[str]:
    """The lines that are printed of a scenario."""
    return [each.plain for each in lines(scenario.process_status.as_json(NOW))]


def backing_off() -> Scenario:
    scenario = scenarios.ten_healthy()
    scenario.back_off("arcade sessions")
    return scenario


@pytest.mark.parametrize(
    ("make", "code", "headline"),
    [
        (scenarios.ten_healthy, 0, "10 streams healthy"),
        (scenarios.standby, 0, "on standby: this replica owns no streams"),
        (backing_off, 0, "1 of 10 streams backing off: arcade sessions"),
        (scenarios.one_parked, 1, "1 of 11 streams parked: mall sessions"),
        (scenarios.all_states, 1, "1 of 18 streams of this replica parked: mall sessions"),
        (scenarios.kafka_away, 1, "not ready: no broker responds"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
async def test_the_first_line_and_the_exit_code_say_whether_all_is_well(
    make: Callable[[], Scenario], code: int, headline: str
) -> None:
    async with served(make()) as port:
        result = await collector("status", "--url", f"http://127.0.0.1:{port}/")

    assert (code, "") == (result.code, result.err)
    assert result.out.startswith(headline)


async def test_the_replica_of_this_machine_is_the_default(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    async with served(scenarios.ten_healthy(), "0.0.0.0") as port:  # noqa: S104 - reachable for a moment
        config.write_text(f'[http]\nlisten = "0.0.0.0:{port}"\n', "utf-8")
        result = await collector("status", "--config", str(config))

    assert (0, "") == (result.code, result.err)


@pytest.mark.parametrize("listen", ["[::1]", "[::]"])
async def test_a_replica_on_ipv6(tmp_path: Path, listen: str) -> None:
    need("IPV6", no_ipv6())
    config = tmp_path / "config.toml"
    async with served(scenarios.ten_healthy(), "::1") as port:
        config.write_text(f'[http]\nlisten = "{listen}:{port}"\n', "utf-8")
        results = [
            await collector("status", "--config", str(config)),
            await collector("status", "--url", f"http://[::1]:{port}/api/status"),
        ]

    assert [(0, ""), (0, "")] == [(each.code, each.err) for each in results]


def test_streams_are_listed_worst_first_with_their_owners() -> None:
    shown = printed(scenarios.all_states())

    (start,) = (nth for nth, line in enumerate(shown) if line.startswith("STATE "))
    rows = shown[start + 1 : start + 25]
    assert rows[0].split()[:5] == ["parked", "mall", "sessions", "seemetrix", "collector-0"]
    assert rows[1].startswith("backing off  kiosk")
    assert rows[-1].split() == ["not", "owned", "other_5", "sessions", "seemetrix", "-", "-", "-", "-"]
    assert rows[-2].split()[4] == "seemetrix"
    assert rows[-2].split()[5] == "collector-1"
    assert "collector-1 owns 3 streams: see the status of that replica" in shown
    assert "1 stream: no replica owns it yet" in shown


def test_an_error_is_shown_once_for_all_streams_that_have_it() -> None:
    scenario = scenarios.one_parked()
    scenario.live("mall", "attention")
    scenario.park("mall attention")

    shown = printed(scenario)

    assert "parked: mall sessions, attention" in shown
    assert [f"  what to do: {scenarios.ADVICE}"] == [line for line in shown if "what to do" in line]
    assert "  HTTP 401 (4 min ago, next attempt in 5 min)" in shown


def test_pauses_backfills_a_refused_configuration_and_notices_are_shown() -> None:
    scenario = scenarios.ten_healthy()
    scenario.source("court").notices = ["its zone is doubtful"]
    status = scenario.process_status.as_json(NOW)
    scenarios.paused_backfilled_and_refused(status)

    shown = [each.plain for each in lines(status)]

    assert not is_well(status)
    assert "configuration refused at 2026-11-01T14:03:00Z; the former one applies" in shown
    assert "the changed configuration was refused" == shown[0]
    assert "  sources.mall.user_id: missing" in shown
    assert any("what to do: correct it" in line for line in shown)
    assert "notice about court: its zone is doubtful" in shown
    (backfill,) = (line for line in shown if "sessions~backfill" in line)
    assert backfill.startswith("catching up 42 %  bazaar")
    assert ["-", "2026-10-31T00:00:00Z"] == backfill.split()[-3:-1]
    (waiting,) = (line for line in shown if "attention~backfill waits" in line)
    assert "2026-11-07T00:00:00Z" in waiting
    assert any(line.startswith("paused ") for line in shown)
    assert any("arcade sessions is paused by ops@laptop" in line and "the key is rotated" in line for line in shown)


@pytest.mark.parametrize(
    ("share", "state", "late_until"),
    [
        (0.427, "live", "2026-11-07T00:00:00Z"),
        (1.0, "paused", "2026-11-07T00:00:00Z"),
        (1.0, "live", "2026-10-31T00:00:00Z"),
        (1.0, "live", None),
    ],
)
def test_a_backfill_that_does_not_wait_for_late_records_is_not_said_to(
    share: float, state: str, late_until: str | None
) -> None:
    status = json.loads(json.dumps(scenarios.ten_healthy().process_status.as_json(NOW)))
    scenarios.paused_backfilled_and_refused(status)
    status["streams"][-1]["state"] = state
    status["streams"][-1]["backfill"] |= {"share": share, "late_until": late_until}

    assert not [each.plain for each in lines(status) if "late records" in each.plain]


def test_dead_letters_and_missing_records_are_shown() -> None:
    status = json.loads(json.dumps(scenarios.ten_healthy().process_status.as_json(NOW)))
    stream = status["streams"][0]
    stream["counts"]["dead_letters"] = {"malformed": 2, "too_large": 1}
    stream["missing"] = 1
    name = f"{stream['source']} {stream['stream']}"

    shown = [each.plain for each in lines(status)]

    assert f"{name}: 3 dead letters: see `collector dead-letters list`" in shown
    assert f"{name}: 1 numbered record not received so far" in shown


def test_texts_of_vendors_cannot_control_the_terminal() -> None:
    scenario = scenarios.one_parked()
    scenario.park("mall sessions", f"{HOSTILE}\x1b]0;title\x07\x9b2J", "do \x1b[31mthis[bold]")

    shown = "".join(printed(scenario))

    assert shown.isprintable()
    assert "[bold]" in shown


def test_the_states_are_those_of_the_status() -> None:
    assert {*STATES} <= {*ORDER}


async def test_json_is_the_response() -> None:
    scenario = scenarios.one_parked()
    async with served(scenario) as port:
        result = await collector("status", "--url", f"http://127.0.0.1:{port}", "--json")

    assert 1 == result.code
    assert json.loads(json.dumps(scenario.process_status.as_json(NOW))) == json.loads(result.out)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:9464", "ftp://127.0.0.1", "http://", "http://me:secret@127.0.0.1:1", "http://[::1", "http://a:0"]
)
async def test_a_wrong_url_is_wrong_input(url: str) -> None:
    result = await collector("status", "--url", url)

    assert (2, "") == (result.code, result.out)
    assert result.err.startswith("--url: ")
    assert "secret" not in result.err


async def test_a_replica_that_does_not_respond_is_a_failure() -> None:
    port = closed_port()

    result = await collector("status", "--url", f"http://127.0.0.1:{port}")

    assert (1, "") == (result.code, result.out)
    assert result.err.startswith(f"http://127.0.0.1:{port}/api/status does not respond (Connection refused)")


async def test_another_server_is_a_failure() -> None:
    async def respond(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    port = closed_port()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, respond)
        result = await collector("status", "--url", f"http://127.0.0.1:{port}")
        tasks.cancel_scope.cancel()

    assert (1, "") == (result.code, result.out)
    assert "not the status of a collector" in result.err


async def test_watching_ends_with_ctrl_c() -> None:
    def watch(port: int) -> tuple[int, str]:
        with Terminal("status", "--url", f"http://127.0.0.1:{port}", "--watch") as terminal:
            terminal.until("1 of 11 streams parked")
            terminal.type("\x03")
            return terminal.end(), terminal.output

    async with served(scenarios.one_parked()) as port:
        code, output = await anyio.to_thread.run_sync(watch, port)

    assert 130 == code
    assert "Traceback" not in output
    assert output.rstrip().endswith(("\x1b[?1049l\x1b[?25h", "\x1b[?1049l", "\x1b[?25h"))  # the screen is as before
