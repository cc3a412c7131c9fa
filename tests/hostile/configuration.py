"""The configuration of a daemon with a good source and a hostile account of each vendor for each attack."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tests.hostile.attacks import slug

INTERVAL_S = 5
"""Of the good source. A commit may take seconds while the disk is busy."""
HOSTILE_INTERVAL_S = 2


def configuration(kafka: str, prefix: str, port: int, url: str, attacks: Sequence[str]) -> str:
    since, earlier = (
        (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%SZ") for age in (timedelta(seconds=30), timedelta(hours=2))
    )
    head = f"""
[kafka]
bootstrap_servers = "{kafka}"
topic_prefix = "{prefix}"
group = "{prefix}group"
state_partitions = 1
partitions = 1
[http]
listen = "127.0.0.1:{port}"
[sources.good]
vendor = "seemetrix"
base_url = "{url}/good/api"
user_id = 1
user_key = "good-key-good-key"
since = {since}
[sources.good.streams.sessions]
interval = "{INTERVAL_S}s"
settle = "1s"
allowed_lateness = "30s"
sweep_every = "10s"
"""
    return head + "".join(_hostile(url, number, name, earlier) for number, name in enumerate(attacks))


def _hostile(url: str, number: int, name: str, since: str) -> str:
    history = f'interval = "{HOSTILE_INTERVAL_S}s"\nsettle = "1s"\nallowed_lateness = "30s"\nsweep_every = "10s"'
    return f"""
[sources.hostile_{number}]
vendor = "seemetrix"
base_url = "{url}/{slug(name)}/api"
user_id = {number + 2}
user_key = "hostile-key-{number:05}"
since = {since}
[sources.hostile_{number}.streams.sessions]
{history}
[sources.hostile_{number}.streams.devices]
interval = "{HOSTILE_INTERVAL_S}s"
[sources.hostile_{number}.streams.counters]
interval = "{HOSTILE_INTERVAL_S}s"
[sources.hostile_{number}.streams.breakdown]
levels = ["devices", "ages"]
resolution = "1h"
interval = "{HOSTILE_INTERVAL_S}s"
[sources.hostile_{number}_viewers]
vendor = "quividi"
base_url = "{url}/{slug(name)}/api"
username = "{slug(name)}"
token = "hostile-token-{number:05}"
timezone = "UTC"
locations = [7]
since = {since}
[sources.hostile_{number}_viewers.streams.viewers]
{history}
[sources.hostile_{number}_viewers.streams.viewers_apc]
{history}
"""
