"""Structured logs: one line a happening, JSON or for people, never a secret, and never an error for who logs it."""

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any, Literal

import orjson
import structlog

from collector.secrets import redacted
from collector.telemetry.log_target import LogTarget, PrintedLines, stderr_target

Level = Literal["debug", "info", "warning", "error"]
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def redirect_stderr() -> None:
    """Write what is printed to sys.stderr to the log's target from now on: like the log, it must not block or raise."""
    sys.stderr = PrintedLines(stderr_target())


def configure(level: Level, form: Literal["json", "console"], target: LogTarget | None = None) -> None:
    """Set up the logs, on stderr unless a target is given.

    Libraries' own lines come at level `debug`: the collector's own say what matters of them.
    """
    target = target or stderr_target()
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(_dumps)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=target.is_terminal)
    )
    last: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, _redact, render]
    wrapper = structlog.make_filtering_bound_logger(_LEVELS[level])
    with_context = [structlog.contextvars.merge_contextvars, *shared]
    lines = _Lines(target)
    structlog.configure(
        processors=[_Guard([*with_context, *last], target)],
        wrapper_class=wrapper,
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    of_target = structlog.wrap_logger(structlog.ReturnLogger(), processors=[*shared, *last], wrapper_class=wrapper)
    target.notice = lambda number: of_target.warning("log_lines_lost", lines=number)
    handler = _Handler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            foreign_pre_chain=[*with_context, structlog.stdlib.add_logger_name],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO if level == "debug" else logging.CRITICAL)


class _Lines:
    """What structlog hands lines to."""

    def __init__(self, target: LogTarget) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = target.write


class _Handler(logging.Handler):
    """The same, for the lines of libraries."""

    def __init__(self, target: LogTarget) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a line that has no text is a lost one
            self._target.lose()
        else:
            self._target.write(line)


class _Guard:
    """The processors of a line, whose errors cost that line and nothing else."""

    def __init__(self, processors: Sequence[structlog.typing.Processor], target: LogTarget) -> None:
        self._processors = processors
        self._target = target

    def __call__(self, logger: object, method: str, line: Any) -> Any:  # noqa: ANN401 - structlog's
        try:
            for processor in self._processors:
                line = processor(logger, method, line)
        except Exception:  # noqa: BLE001 - of whatever was logged
            self._target.lose()
            raise structlog.DropEvent from None
        return line


def _dumps(value: Any, **_: Any) -> str:  # noqa: ANN401 - what structlog hands over
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # text that is no UTF-8, an integer of more than 64 bits, a key that is no text
        return json.dumps(value, default=str, skipkeys=True, ensure_ascii=False)


def _redact(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Every value, just before it is written: a secret may be anywhere in what was logged."""
    return {name: _shown(value) for name, value in line.items()}


def _shown(value: object) -> Any:  # noqa: ANN401 - as JSON knows it
    try:
        return redacted(value)
    except Exception:  # noqa: BLE001 - its text is made by code of its class
        return f"<{type(value).__name__}>"
