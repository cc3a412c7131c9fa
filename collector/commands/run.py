"""`collector run`."""

import gc
from pathlib import Path

import anyio
import structlog

from collector import app
from collector.config import Settings, load
from collector.errors import UserError, leaves
from collector.secrets import MIN_LENGTH, Secret
from collector.telemetry.log import configure, redirect_stderr


def run(path: Path) -> None:
    redirect_stderr()
    settings = load(path)
    short = _reveal_all(settings)
    configure(settings.log.level, settings.log.format)
    if short:
        advice = f"choose longer ones: what has fewer than {MIN_LENGTH} characters cannot be told from other text"
        structlog.get_logger().warning("secrets_not_concealed", keys=short, advice=advice)
    # Values here are frozen and have no cycles: at its defaults, the search for some takes two fifths of a backfill.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        anyio.run(app.run, settings, backend_options={"use_uvloop": True})
    except* UserError as errors:
        raise UserError("\n".join(str(error) for error in leaves(errors))) from None


def _reveal_all(settings: Settings) -> list[str]:
    """Every secret must be there at the start; one that goes missing later parks its source.

    Returns the keys of those that are too short to be taken out of texts.
    """
    missing, short = [], []
    secrets: list[tuple[str, Secret]] = []
    if settings.kafka.sasl:
        secrets.append(("kafka.sasl.password", settings.kafka.sasl.password))
    for name, source in settings.sources.items():
        secrets += [(f"sources.{name}.{key}", secret) for key, secret in source.secrets.items()]
    for path, secret in secrets:
        try:
            if len(secret.reveal()) < MIN_LENGTH:
                short.append(path)
        except UserError as error:
            missing.append(f"{path}: {error}")
    if missing:
        raise UserError("\n".join(missing))
    return short
