"""Dead letters of a former release are published again while the vendors have new data and replicas are killed."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec

from tests.commands.harness import collector
from tests.faults.table import Row
from tests.faults.testbed import MAX_WAIT_S, Testbed, now_ms, until_true, verdict
from tests.kafka import former_release
from tests.kafka.daemon import Received, until
from tests.kafka.scenario import Replica

FORMER = (str(Path(former_release.__file__)),)
RARELY = "15"
"""The sessions that it does not understand are so few that no stream is parked."""
MIN_LETTERS = 3


async def replayed(testbed: Testbed, times: int) -> Row:
    """Replicas of a former release, then of the present one, of which one is killed while the command runs.

    What is published again comes after newer data, and after its time was final: order and `final` are of the rest.
    """
    for _ in range(2):
        testbed.replica()
    for _ in range(times):
        _restart(testbed, FORMER, FORMER_RELEASE_EVERY=RARELY)
        before = len(_letters(testbed.received))
        await until_true(partial(_has_letters, testbed, before + MIN_LETTERS), "there are dead letters")
        _restart(testbed, Replica.program)
        await testbed.wait_for_all_sources()
        killed = await testbed.owner()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_replay, testbed)
            await anyio.sleep(testbed.random.uniform(0, 3))
            killed.kill()
            moment_ms = now_ms()
            killed.start()
            await testbed.wait_for_recovery(moment_ms)
        await _replay(testbed)
    return await verdict(testbed, "", times, in_time=_without_letters)


def _restart(testbed: Testbed, program: Sequence[str], **environment: str) -> None:
    for replica in testbed.replicas:
        replica.stop()
        replica.program = program
        replica.start(**environment)


async def _replay(testbed: Testbed) -> None:
    """Run the command until it succeeds: a running replica may fence it, and it continues."""

    async def has_replayed() -> bool:
        done = await collector("dead-letters", "replay", "--all", "--yes", "--config", str(testbed.replicas[0].config))
        return done.code == 0

    await until(has_replayed, "the command succeeds", within_s=MAX_WAIT_S)


def _has_letters(testbed: Testbed, number: int) -> bool:
    return len(_letters(testbed.received)) >= number


def _letters(messages: list[Received]) -> set[tuple[object, object]]:
    """Device and number of each session that is a dead letter."""
    letters = [each.value for each in messages if each.headers["ce_type"] == "collector.dead_letter.v1"]
    payloads = [msgspec.json.decode(each["payload"]) for each in letters if each["stream"] == "sessions"]
    return {(payload["d"], payload["o"]) for payload in payloads}


def _without_letters(messages: list[Received]) -> list[Received]:
    """The messages without those of sessions that are dead letters."""
    letters = _letters(messages)
    return [each for each in messages if _session(each.value) not in letters]


def _session(value: dict[str, Any]) -> tuple[object, object]:
    return value.get("device_id"), value.get("session_number")
