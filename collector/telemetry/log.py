"""Structured logs: one line a happening, JSON or for people, never a secret."""

import logging
import sys
from typing import Any, Literal

import orjson
import structlog

from collector.secrets import concealed

Level = Literal["debug", "info", "warning", "error"]
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(level: Level, form: Literal["json", "console"]) -> None:
    """Set up the logs, on stderr. Libraries' own lines come at level `debug`: what matters of them is told."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(_dumps)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    last: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, _conceal, render]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO if level == "debug" else logging.CRITICAL)


def _dumps(value: Any, **_: Any) -> str:  # noqa: ANN401 - what structlog hands over
    return orjson.dumps(value, default=str).decode()


def _conceal(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """All that is said, just before it is written: a secret may be anywhere in what was logged."""
    return {name: concealed(value) for name, value in line.items()}
