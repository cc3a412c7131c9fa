"""Operators pause and resume sources while the vendors have new data and replicas are killed."""

from collector.simulator.seemetrix import SOURCE as SEEMETRIX
from collector.simulator.vidicenter import SOURCE as QUIVIDI
from tests.commands.harness import collector
from tests.faults.testbed import MAX_WAIT_S, Testbed, now_ms
from tests.kafka.daemon import until
from tests.kafka.scenario import Replica

SOURCES = (SEEMETRIX, QUIVIDI)
RUNNING = ("live", "catching_up")
LENGTH = "30s"
"""Of pauses that end by themselves: enough for the owner to notice it, and for another replica to take over."""


async def paused_and_resumed(testbed: Testbed, times: int) -> int:
    """The real commands, for each source in turn. The owner of the paused source is killed, by kill -9.

    The next owner finds the pause in the state. Each other pause ends by itself; the rest are resumed, and the owner is
    killed again: it would notice the resume within two minutes, and its successor finds no pause.
    """
    for _ in range(2):
        testbed.replica()
    for number in range(times):
        await testbed.wait_for_all_sources()
        source = SOURCES[(number + number // 2) % 2]
        length = ("--for", LENGTH) if number % 2 else ()
        await _command(testbed, "pause", source, "--reason", "maintenance", *length)
        owner = await _shown(testbed, source, "paused")
        owner.kill()
        await _shown(testbed, source, "paused", *(RUNNING if length else ()))
        owner.start()
        if length:
            await _shown(testbed, source, *RUNNING)
            moment_ms = now_ms()
        else:
            await _command(testbed, "resume", source)
            moment_ms = now_ms()
            owner = await testbed.owner(source)
            owner.kill()
            owner.start()
        await testbed.wait_for_recovery(moment_ms)
    return times


async def _command(testbed: Testbed, *arguments: str) -> None:
    done = await collector(*arguments, "--config", str(testbed.replicas[0].config))
    assert 0 == done.code, done.err


async def _shown(testbed: Testbed, source: str, *states: str) -> Replica:
    """The replica that shows the source in one of these states, once there is one."""
    found: list[Replica] = []

    async def is_shown() -> bool:
        found[:] = [each for each in testbed.replicas if (await each.streams()).get(source, {}).get("state") in states]
        return bool(found)

    await until(is_shown, f"{source} is {' or '.join(states)}", within_s=MAX_WAIT_S)
    return found[0]
