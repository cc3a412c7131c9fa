"""`collector check`: whether everything that the daemon needs is there; one line each."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from msgspec import Struct

from collector.app import said
from collector.clock import SystemClock
from collector.config import Settings, load
from collector.errors import Park, Refused, RetryLater, Split
from collector.kafka.connection import UNAVAILABLE
from collector.kafka.topics import probe
from collector.telemetry.vendor import unheard
from collector.vendors import VENDORS
from collector.vendors.http import http


class Finding(Struct, frozen=True):
    """One line."""

    what: str
    ok: bool
    text: str


def check(path: Path, *, offline: bool) -> list[Finding]:
    """Read the configuration, then ask every vendor account and the brokers. Raises UserError for the configuration."""
    settings = load(path)
    count = len(settings.sources)
    found = [Finding(str(path), ok=True, text=f"is right: {count} source{'s' if count > 1 else ''}")]
    return found if offline else [*found, *anyio.run(_probe, settings)]


async def _probe(settings: Settings) -> list[Finding]:
    return [finding async for finding in _findings(settings)]


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    async with http(SystemClock()) as client:
        for name, source in settings.sources.items():
            what = f"sources.{name}"
            try:
                text = await VENDORS[source.vendor].probe(name, source, client, unheard())
                yield Finding(what, ok=True, text=text)
            except Park as error:
                yield Finding(what, ok=False, text=f"{error}: {error.advice}")
            except (RetryLater, Split) as error:
                yield Finding(what, ok=False, text=f"{error}: try again later")
    try:
        text = await probe(settings.kafka, settings.topics(), settings.compacted_topics())
        yield Finding("kafka", ok=True, text=text)
    except Refused as error:
        yield Finding("kafka", ok=False, text=f"{error}: {error.advice}")
    except UNAVAILABLE as error:
        servers = settings.kafka.bootstrap_servers
        yield Finding("kafka", ok=False, text=f"{servers} does not answer ({said(error)}): check bootstrap_servers")
