"""Logging never raises, whatever is logged and wherever it is written."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog

from collector.redaction import REDACTED
from collector.secrets import Secret
from collector.telemetry.log import Level, configure
from collector.telemetry.log_target import LogTarget
from tests.telemetry.descriptors import Pipe, full

SECRET = "failing-secret-62"


class Unprintable:
    """A value whose repr raises."""

    def __repr__(self) -> str:
        raise RuntimeError(SECRET)


class Untraceable(Exception):  # noqa: N818 - a broken error
    """An error whose traceback cannot be formatted."""

    @property
    def __cause__(self) -> BaseException:  # type: ignore[override]
        raise RuntimeError(SECRET)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    Secret.model_validate(SECRET)
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture
def target(pipe: Pipe) -> LogTarget:
    return LogTarget(pipe.writing)


def lines(pipe: Pipe) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pipe.read().splitlines()]


def cyclic() -> list[object]:
    cycle: list[object] = []
    cycle.append(cycle)
    return cycle


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Unprintable(), "<Unprintable>"),
        ([1, Unprintable()], "<list>"),
        (cyclic(), "<list>"),
        (f"half a \ud83d and {SECRET}", f"half a ? and {REDACTED}"),
        ({"of": ["\ud83d", SECRET]}, {"of": ["?", REDACTED]}),
        (1 << 64, 1 << 64),
        ({7: "seven", b"8": "eight"}, {"7": "seven"}),
    ],
    ids=["repr", "repr within", "cycle", "surrogate", "surrogate within", "integer", "keys"],
)
def test_a_value_that_json_cannot_represent_is_replaced(
    pipe: Pipe, target: LogTarget, value: object, shown: object
) -> None:
    configure("info", "json", target)

    structlog.get_logger().warning("event", value=value, rows=3)

    (line,) = lines(pipe)
    assert ("event", shown, 3) == (line["event"], line["value"], line["rows"])
    assert 0 == target.lost


@pytest.mark.parametrize(
    "value", [Unprintable(), cyclic(), f"half a \ud83d and {SECRET}"], ids=["repr", "cycle", "surrogate"]
)
def test_the_console_format_replaces_it_too(pipe: Pipe, target: LogTarget, value: object) -> None:
    configure("info", "console", target)

    structlog.get_logger().warning("event", value=value)

    text = pipe.read()
    assert "event" in text
    assert SECRET not in text
    assert 0 == target.lost


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_line_that_cannot_be_rendered_is_counted(pipe: Pipe, target: LogTarget, level: Level) -> None:
    configure(level, "json", target)

    structlog.get_logger().error("unexpected", exc_info=Untraceable())
    structlog.get_logger().info("next")

    written = lines(pipe)
    assert ["log_lines_lost", "next"] == [line["event"] for line in written]
    assert ("warning", 1) == (written[0]["level"], written[0]["lines"])
    assert 1 == target.lost


def test_a_line_of_a_library_that_cannot_be_rendered_is_counted(
    pipe: Pipe, target: LogTarget, capfd: pytest.CaptureFixture[str]
) -> None:
    configure("debug", "json", target)

    logging.getLogger("library").info("%d bytes", SECRET)
    logging.getLogger("library").info("next")

    assert ["log_lines_lost", "next"] == [line["event"] for line in lines(pipe)]
    assert 1 == target.lost
    assert ("", "") == capfd.readouterr()


def test_lost_lines_are_not_reported_at_level_error(pipe: Pipe, target: LogTarget) -> None:
    configure("error", "json", target)
    target.lose()

    structlog.get_logger().error("unexpected")

    assert ["unexpected"] == [line["event"] for line in lines(pipe)]


def test_the_report_of_lost_lines_has_no_context(pipe: Pipe, target: LogTarget) -> None:
    configure("info", "json", target)
    target.lose()

    with structlog.contextvars.bound_contextvars(source="mall"):
        structlog.get_logger().info("next")

    lost, after = lines(pipe)
    assert ("log_lines_lost", None) == (lost["event"], lost.get("source"))
    assert ("next", "mall") == (after["event"], after["source"])


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_full_disk_raises_nothing(form: Literal["json", "console"]) -> None:
    target = LogTarget(full())
    configure("debug", form, target)

    structlog.get_logger().error("one")
    logging.getLogger("library").error("two")

    assert 2 == target.lost


@pytest.mark.parametrize("redirect", ["", "2>&-"])
def test_the_last_line_is_written_before_the_process_exits_immediately(redirect: str) -> None:
    code = """
from collector.__main__ import _open_streams
_open_streams()
import anyio
from collector import app
from collector.telemetry.log import configure
app.STOP_S = 0.0
configure("info", "json")
anyio.run(app._exit_after_deadline)
"""
    command = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, check=False)

    assert 1 == done.returncode
    assert ["stop_overdue"] * (not redirect) == [json.loads(line)["event"] for line in done.stderr.splitlines()]
