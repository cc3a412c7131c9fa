"""`collector run`: the daemon."""

import gc
from collections.abc import Iterator
from pathlib import Path

import anyio
import structlog

from collector import allocator, app
from collector.config import Settings, load
from collector.errors import Failed, InvalidConfiguration, Problem, RetryLater, UserError, leaves
from collector.secrets import MIN_LENGTH, Secret
from collector.telemetry.log import configure, redirect_stderr


def run(path: Path) -> None:
    """Run until SIGTERM or SIGINT.

    Raises UserError when the configuration is wrong, a secret cannot be read or the daemon cannot listen at
    `http.listen`.
    """
    redirect_stderr()
    settings = load(path)
    short = _reveal_all(settings)
    configure(settings.log.level, settings.log.format)
    if short:
        advice = f"use longer secrets: those below {MIN_LENGTH} characters are not redacted from logs and errors"
        structlog.get_logger().warning("secrets_not_concealed", keys=short, advice=advice)
    allocator.return_large_blocks()
    # Values here are frozen and have no cycles: at its defaults, the search for cycles takes 40 % of a backfill's time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        anyio.run(app.run, settings, str(path), backend_options={"use_uvloop": True})
    except* UserError as errors:
        first, *others = leaves(errors)
        text = "\n".join(map(str, (first, *others)))
        raise UserError(text, code=first.code if isinstance(first, UserError) else "") from None


def _reveal_all(settings: Settings) -> list[str]:
    """Read every secret once; return the configuration keys of those that are too short to be redacted.

    Raises InvalidConfiguration when some cannot be read, and Failed when too many files are open. A secret that goes
    missing later only parks its source.
    """
    problems, short = [], []
    for path, secret in _secrets(settings):
        try:
            if len(secret.reveal()) < MIN_LENGTH:
                short.append(path)
        except UserError as error:
            problems.append(Problem(path, error.code, str(error)))
        except RetryLater as error:
            raise Failed(f"{path}: {error}", code=error.code) from None
    if problems:
        raise InvalidConfiguration(problems)
    return short


def _secrets(settings: Settings) -> Iterator[tuple[str, Secret]]:
    """Yield every secret with its configuration key."""
    if settings.kafka.sasl:
        for key, secret in settings.kafka.sasl.secrets.items():
            yield f"kafka.sasl.{key}", secret
    if settings.kafka.schema_registry and settings.kafka.schema_registry.password:
        yield "kafka.schema_registry.password", settings.kafka.schema_registry.password
    for name, source in settings.sources.items():
        for key, secret in source.secrets.items():
            yield f"sources.{name}.{key}", secret
