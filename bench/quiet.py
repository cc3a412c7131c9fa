"""Measures what quiet accounts cost: requests to Kafka and bytes in it, of 500 accounts that are polled every minute.

    python -m bench.quiet [SECONDS]

Half of the accounts have a new session every ten minutes, the others have none. The requests are counted by a proxy
between the daemon and the broker.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import anyio
from rich.console import Console
from rich.table import Table

from bench.daemon import Daemon, running_daemon, write_config
from bench.live_vendor import QUIET_EVERY_S
from bench.measurement import log_bytes
from bench.scale import DAY_S, START_S, live_sources
from tests.faults.brokers import ProxiedBroker
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import Proxy
from tests.processes import running_module

SOURCES = 500
PREFIX = "quiet."
MEASURED_S = 600
"""Each account that has sessions has one of them."""
IN_TRANSACTIONS = (Api.ADD_PARTITIONS_TO_TXN, Api.PRODUCE, Api.END_TXN)


async def measured(home: Path, seconds: float) -> Table:
    """Run the daemon, wait until all streams are live, and count for some time."""
    broker = ProxiedBroker(home / "broker")
    broker.start()
    proxy, disk = Proxy(broker.upstream_address, broker.proxy_port), home / "broker" / "data"
    try:
        async with proxy.serving():
            with (
                running_module("bench.live_vendor", str(QUIET_EVERY_S)) as url,
                running_daemon(
                    write_config(home, "quiet", proxy.address, live_sources(url, range(1, SOURCES + 1)), PREFIX)
                ) as daemon,
            ):
                await anyio.to_thread.run_sync(daemon.until, daemon.are_live, START_S)
                await anyio.sleep(130)  # the first commits of live streams are made at the same time
                seen, size, done = proxy.seen.copy(), log_bytes(disk, f"{PREFIX}*"), await _committed(daemon)
                started = time.monotonic()
                await anyio.sleep(seconds)
                factor = DAY_S / (time.monotonic() - started)
                seen, size = proxy.seen - seen, log_bytes(disk, f"{PREFIX}*") - size
                return _table(seen, size * factor, (await _committed(daemon) - done) * factor, factor)
    finally:
        broker.close()


async def _committed(daemon: Daemon) -> float:
    return await anyio.to_thread.run_sync(daemon.transactions)


def _table(seen: Counter[int], size: float, transactions: float, factor: float) -> Table:
    found = Table(f"{SOURCES} quiet accounts", "a day")
    found.add_row("transactions", f"{transactions:,.0f}")
    found.add_row("requests in transactions", f"{sum(seen[api] for api in IN_TRANSACTIONS) * factor:,.0f}")
    found.add_row("other requests", f"{sum(n for api, n in seen.items() if api not in IN_TRANSACTIONS) * factor:,.0f}")
    found.add_row("bytes in Kafka, MB", f"{size / 1e6:,.0f}")
    return found


def main(arguments: Sequence[str] = ()) -> None:
    seconds = float(arguments[0]) if arguments else MEASURED_S
    with tempfile.TemporaryDirectory() as name:
        found = anyio.run(measured, Path(name), seconds)
    Console(highlight=False, width=110).print(found)


if __name__ == "__main__":
    main(sys.argv[1:])
