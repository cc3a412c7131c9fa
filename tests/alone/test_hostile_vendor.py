"""A hostile vendor beside a good one, in one process: the good one's events come in time, in bounded memory."""

import signal
from pathlib import Path
from time import time

import anyio
import anyio.to_thread
import pytest

from bench.measurement import peak_mib
from collector.app import STOP_S
from tests.hostile.attacks import ATTACKS
from tests.hostile.configuration import INTERVAL_S, configuration
from tests.hostile.server import hostile_vendor, start_attack
from tests.kafka.daemon import Daemon, Received, reading, until

pytestmark = pytest.mark.anyio

MAX_MIB = 256
ATTACK_S = 2
"""How long each attack lasts."""


class Attacked(Daemon):
    def __init__(self, home: Path, kafka: str, prefix: str, url: str) -> None:
        self._set_up_files(home)
        self.config.write_text(configuration(kafka, prefix, self.port, url, list(ATTACKS)), "utf-8")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid


def lag_s(message: Received) -> float:
    """From when a session was available, a second after its start, to when it was published."""
    return float(message.published_ms / 1000 - (message.value["session_number"] + 1))


@pytest.mark.timeout(400)
async def test_no_attack_delays_another_account_or_takes_the_memory(kafka: str, prefix: str, tmp_path: Path) -> None:
    with hostile_vendor() as url:
        daemon = Attacked(tmp_path, kafka, prefix, url)
        async with reading(kafka, [f"{prefix}seemetrix.sessions"]) as reader:

            async def is_polled() -> bool:
                return any("good" == each.headers["ce_source"].rpartition("/")[2] for each in await reader.poll())

            try:
                daemon.start()
                await until(is_polled, "the good source is polled")
                started = time()
                for name in ATTACKS:
                    await anyio.to_thread.run_sync(start_attack, url, name)
                    await anyio.sleep(ATTACK_S)
                    await reader.poll()
                peak = peak_mib(daemon.pid)
                assert (200, "ready\n") == await daemon.get("/readyz")
                daemon.send(signal.SIGTERM)
                assert 0 == daemon.wait(STOP_S), "the last attack goes on"
            finally:
                daemon.close()
            found = [each for each in await reader.to_the_end() if each.headers["ce_source"].endswith("/good")]

    starts = sorted(each.value["session_number"] for each in found)
    assert list(range(starts[0], starts[-1] + 1)) == starts, "none is lost, and none is doubled"
    late = {each.value["session_number"]: lag_s(each) for each in found if each.value["session_number"] > started}
    assert {} == {start: lag for start, lag in late.items() if lag >= 2 * INTERVAL_S}
    assert len(late) > len(ATTACKS) * ATTACK_S - 2 * INTERVAL_S
    assert peak < MAX_MIB
