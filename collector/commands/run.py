"""`collector run`."""

import gc
from pathlib import Path

import anyio

from collector import app
from collector.config import Settings, load
from collector.errors import UserError
from collector.secrets import Secret
from collector.telemetry.log import configure


def run(path: Path) -> None:
    settings = load(path)
    _reveal_all(settings)
    configure(settings.log.level, settings.log.format)
    # Values here are frozen and have no cycles: at its defaults, the search for some takes two fifths of a backfill.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        anyio.run(app.run, settings, backend_options={"use_uvloop": True})
    except* UserError as errors:
        raise UserError("\n".join(str(error) for error in app.leaves(errors))) from None


def _reveal_all(settings: Settings) -> None:
    """Every secret must be there at the start; one that goes missing later parks its source."""
    missing = []
    secrets: list[tuple[str, Secret]] = []
    if settings.kafka.sasl:
        secrets.append(("kafka.sasl.password", settings.kafka.sasl.password))
    for name, source in settings.sources.items():
        secrets += [
            (f"sources.{name}.{field}", value)
            for field in type(source).model_fields
            if isinstance(value := getattr(source, field), Secret)
        ]
    for path, secret in secrets:
        try:
            secret.reveal()
        except UserError as error:
            missing.append(f"{path}: {error}")
    if missing:
        raise UserError("\n".join(missing))
