"""Brokers that come back at other addresses, behind the same name."""

import socket
from functools import partial

import anyio

from tests.faults.forwarder import Forwarder
from tests.faults.stage import PATIENCE_S, Stage, now_ms
from tests.kafka.daemon import until
from tests.kafka.town import Replica


async def all_brokers_move(stage: Stage, times: int) -> int:
    """All brokers are stopped, and come back with what they had on disk, but at other addresses; the name stays.

    Only the name leads to them: none of the addresses that two replicas know answers any more. Both replicas become
    ready again by themselves; then the one that runs the streams dies, and the other takes over.
    """
    nodes = stage.cluster.nodes
    name = await stage.around.enter_async_context(Forwarder(f"http://{nodes[0].moving}").serving())
    for _ in range(2):
        stage.replica(name.address.removeprefix("http://"))
    await stage.flows()
    for _ in range(times):
        await _all(stage, ready=True)
        old = [node.moving for node in nodes]
        for node in nodes:
            await anyio.to_thread.run_sync(node.stop)
            node.move()
        await _all(stage, ready=False)
        for node in nodes:
            node.launch()
        for node in nodes:
            await anyio.to_thread.run_sync(node.await_answer)
        name.lead_to(f"http://{nodes[0].moving}")
        moved_ms = now_ms()
        assert not any(map(_answers, old))
        await stage.recovers(moved_ms)
        await _all(stage, ready=True)
        victim = await stage.owner()
        killed_ms = now_ms()
        victim.kill()
        await stage.recovers(killed_ms)
        victim.start()
    return times


async def _all(stage: Stage, *, ready: bool) -> None:
    for replica in stage.replicas:
        await until(partial(_is, replica, ready=ready), f"a replica is {'' if ready else 'not '}ready", PATIENCE_S)


async def _is(replica: Replica, *, ready: bool) -> bool:
    return ready is await replica.is_ready()


def _answers(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as trying:
        return trying.connect_ex((host, int(port))) == 0
