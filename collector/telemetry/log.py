"""Structured logs: one line per event, as JSON or as text for a terminal.

Lines contain no secrets, and logging never raises.
"""

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any, Literal

import orjson
import structlog

from collector.redaction import redacted
from collector.telemetry.log_target import LogTarget, PrintedLines, stderr_target

Level = Literal["debug", "info", "warning", "error"]
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def redirect_stderr() -> None:
    """Send everything printed to sys.stderr to the log's target, so that printing does not block or raise either."""
    sys.stderr = PrintedLines(stderr_target())


def configure(level: Level, line_format: Literal["json", "console"], target: LogTarget | None = None) -> None:
    """Configure structlog and the standard library's logging to write to `target`, by default stderr.

    Libraries' log lines are written only if `level` is `debug`: the collector logs what matters by itself.
    """
    target = target or stderr_target()
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[structlog.typing.Processor] = (
        [structlog.processors.JSONRenderer(_dumps)]
        if line_format == "json"
        else [_escape, structlog.dev.ConsoleRenderer(colors=target.is_terminal)]
    )
    final: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, _redact, *render]
    wrapper = structlog.make_filtering_bound_logger(_LEVELS[level])
    with_context = [structlog.contextvars.merge_contextvars, *shared]
    lines = _Lines(target)
    structlog.configure(
        processors=[_Guard([*with_context, *final], target)],
        wrapper_class=wrapper,
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    target_log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[*shared, *final], wrapper_class=wrapper)
    target.notice = lambda number: target_log.warning("log_lines_lost", lines=number)
    handler = _Handler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
            foreign_pre_chain=[*with_context, structlog.stdlib.add_logger_name],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO if level == "debug" else logging.CRITICAL)


class _Lines:
    """The logger to which structlog passes rendered lines."""

    def __init__(self, target: LogTarget) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = target.write


class _Handler(logging.Handler):
    """The handler for log records of libraries."""

    def __init__(self, target: LogTarget) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a record that cannot be formatted is a lost line
            self._target.lose()
        else:
            self._target.write(line)


class _Guard:
    """Runs the processors of a line. If one of them raises, only that line is lost."""

    def __init__(self, processors: Sequence[structlog.typing.Processor], target: LogTarget) -> None:
        self._processors = processors
        self._target = target

    def __call__(self, logger: object, method: str, line: Any) -> Any:  # noqa: ANN401 - structlog's type
        try:
            for processor in self._processors:
                line = processor(logger, method, line)
        except Exception:  # noqa: BLE001 - any value may be logged
            self._target.lose()
            raise structlog.DropEvent from None
        return line


def _dumps(value: Any, **_: Any) -> str:  # noqa: ANN401 - structlog passes any value
    """The value as JSON. Values that JSON does not have become strings."""
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # invalid UTF-8, an integer of more than 64 bits, a key that is not a string
        return json.dumps(value, default=str, skipkeys=True, ensure_ascii=False)


def _redact(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Redact every value just before the line is rendered: a secret may be anywhere in it."""
    return {name: _redacted(value) for name, value in line.items()}


def _redacted(value: object) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return redacted(value)
    except Exception:  # noqa: BLE001 - the value's own __repr__ may raise
        return f"<{type(value).__name__}>"


class _Quoted:
    """A value that the console format shows as a literal, with its control characters escaped."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return repr(self._text)


def _escape(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape control characters for the console format, so that no value can add a line or command a terminal.

    Only a traceback has several lines. They are indented, so that none of them looks like another event.
    """
    shown: structlog.typing.EventDict = {}
    for name, value in line.items():
        if not isinstance(value, str) or value.isprintable():
            shown[_escaped(str(name))] = value
        elif name == "exception":
            shown[name] = "\n".join(f"    {_escaped(each)}" for each in value.split("\n"))
        else:
            shown[_escaped(str(name))] = _escaped(value) if name in {"event", "logger"} else _Quoted(value)
    return shown


def _escaped(text: str) -> str:
    return text if text.isprintable() else "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
