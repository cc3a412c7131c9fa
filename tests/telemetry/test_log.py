"""The log: one line per event, on stderr, without secrets."""

import json
import logging
import re
from typing import Any, Literal

import pytest
import structlog

from collector.redaction import REDACTED
from collector.secrets import Secret
from collector.telemetry.log import Level, configure
from collector.telemetry.log_target import STDERR_FD, LogTarget

Form = Literal["json", "console"]
SECRET = 'log/ged "secret"-61'


@pytest.fixture(autouse=True)
def _register_secret() -> None:
    Secret.model_validate(SECRET)


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = captured.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_an_event_is_one_line_of_json_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    configure("info", "json", LogTarget(STDERR_FD))

    structlog.get_logger().info("stream_live", source="mall", rows=3, text="two\nlines")

    (line,) = lines(capfd)
    timestamp = line.pop("timestamp")
    assert line == {"event": "stream_live", "level": "info", "source": "mall", "rows": 3, "text": "two\nlines"}
    assert timestamp.endswith("Z")


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_not_written(
    capfd: pytest.CaptureFixture[str],
    level: Level,
    expected: list[str],
) -> None:
    configure(level, "json", LogTarget(STDERR_FD))

    log = structlog.get_logger()
    log.debug("debug")
    log.info("info")
    log.warning("warning")
    log.error("error")

    assert expected == [line["event"] for line in lines(capfd)]


def test_a_traceback_is_part_of_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    configure("info", "json", LogTarget(STDERR_FD))

    structlog.get_logger().error("unexpected", exc_info=raised("broken"))

    (line,) = lines(capfd)
    assert "Traceback" in line["exception"]
    assert "ValueError: broken" in line["exception"]


def raised(text: str) -> ValueError:
    """An error that has a traceback."""
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        raise ValueError(text)
    return caught.value


class SecretiveObject:
    """A value whose repr contains the secret."""

    def __repr__(self) -> str:
        return f"object with {SECRET}"


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"GET /?key={SECRET}",
        [f"a list of {SECRET}"],
        {"a dict of": SECRET},
        ValueError(f"an error of {SECRET}"),
        SecretiveObject(),
        f"bytes of {SECRET}".encode(),
    ],
    ids=["text", "part", "list", "dict", "error", "object", "bytes"],
)
def test_no_value_contains_a_secret(capfd: pytest.CaptureFixture[str], form: Form, value: object) -> None:
    configure("info", form, LogTarget(STDERR_FD))

    structlog.get_logger().warning("event", value=value)

    assert is_redacted(capfd)


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_traceback_contains_a_secret(capfd: pytest.CaptureFixture[str], form: Form) -> None:
    configure("info", form, LogTarget(STDERR_FD))

    structlog.get_logger().error("unexpected", exc_info=raised(f"cannot use {SECRET}"))

    assert is_redacted(capfd)


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_line_of_a_library_contains_a_secret(capfd: pytest.CaptureFixture[str], form: Form) -> None:
    configure("debug", form, LogTarget(STDERR_FD))

    logging.getLogger("library").info("connecting with %s", SECRET)
    logging.getLogger("library").error("broken", exc_info=raised(SECRET))

    assert is_redacted(capfd)


def is_redacted(captured: pytest.CaptureFixture[str]) -> bool:
    """Whether lines were written with the secret redacted, in any escaped form."""
    out, err = captured.readouterr()
    assert REDACTED in err
    return out == "" and "ged" not in err and "-61" not in err


UNSAFE = "\x7f\x85\x9b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069"
"""Ends of lines, commands to a terminal, and changes of the direction of text, which JSON allows in strings."""


@pytest.mark.parametrize("char", [*UNSAFE, "\n", "\r", "\x1b", "\x0c", "\x00", "\ud83d"], ids=ascii)
@pytest.mark.parametrize("form", ["json", "console"])
def test_no_character_ends_a_line_or_changes_how_it_is_shown(
    capfd: pytest.CaptureFixture[str], form: Form, char: str
) -> None:
    configure("debug", form, LogTarget(STDERR_FD))
    text = f"a{char}b"

    structlog.get_logger().info(text, **{text: text, "list": [text], "error": ValueError(text)})
    logging.getLogger(text).info(text)

    err = capfd.readouterr().err
    assert 2 == err.count("\n") == len(err.splitlines())
    assert char == "\n" or char not in err


@pytest.mark.parametrize("char", UNSAFE, ids=ascii)
def test_escapes_are_those_of_json(capfd: pytest.CaptureFixture[str], char: str) -> None:
    configure("info", "json", LogTarget(STDERR_FD))

    structlog.get_logger().info("event", text=char)

    assert [char] == [line["text"] for line in lines(capfd)]


def test_no_line_of_a_traceback_looks_like_an_event(capfd: pytest.CaptureFixture[str]) -> None:
    configure("info", "console", LogTarget(STDERR_FD))

    structlog.get_logger().error("unexpected", exc_info=raised("broken\n2026-01-01T00:00:00Z [info] forged\x1b[31m"))

    event, *traceback = capfd.readouterr().err.splitlines()
    assert "unexpected" in event
    assert all(line.startswith("    ") and "\x1b" not in line for line in traceback)


def test_lines_of_libraries_are_written_at_debug_only(capfd: pytest.CaptureFixture[str]) -> None:
    configure("info", "json", LogTarget(STDERR_FD))
    logging.getLogger("library").error("connected")
    assert lines(capfd) == []

    configure("debug", "json", LogTarget(STDERR_FD))
    logging.getLogger("library").info("connected")

    (line,) = lines(capfd)
    assert ("connected", "library", "info") == (line["event"], line["logger"], line["level"])


def test_the_console_format_is_plain_text_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    configure("info", "console", LogTarget(STDERR_FD))

    structlog.get_logger().info("stream_live", source="mall")

    out, err = capfd.readouterr()
    assert out == ""
    assert "stream_live" in err
    assert "source=mall" in err
    assert "\x1b[" not in err
