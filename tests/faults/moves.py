"""Brokers that restart at other addresses, behind the same name."""

import socket
from functools import partial

import anyio

from tests.faults.forwarder import Forwarder
from tests.faults.testbed import MAX_WAIT_S, Testbed, now_ms
from tests.kafka.daemon import until
from tests.kafka.scenario import Replica


async def all_brokers_move(testbed: Testbed, times: int) -> int:
    """All brokers are stopped, and restart with their data at other addresses. Only the bootstrap address is stable.

    No address that the two replicas know from metadata works any more. Both replicas become ready again by themselves;
    then the one that runs the streams is killed, and the other takes over.
    """
    nodes = testbed.cluster.nodes
    bootstrap = await testbed.resources.enter_async_context(Forwarder(f"http://{nodes[0].moving_address}").serving())
    for _ in range(2):
        testbed.replica(bootstrap.address.removeprefix("http://"))
    await testbed.wait_for_event()
    for _ in range(times):
        await _wait_for_all(testbed, ready=True)
        old = [node.moving_address for node in nodes]
        for node in nodes:
            await anyio.to_thread.run_sync(node.stop)
            node.move()
        await _wait_for_all(testbed, ready=False)
        for node in nodes:
            node.launch()
        for node in nodes:
            await anyio.to_thread.run_sync(node.wait_until_ready)
        bootstrap.set_target(f"http://{nodes[0].moving_address}")
        moved_ms = now_ms()
        assert not any(map(_is_listening, old))
        await testbed.wait_for_recovery(moved_ms)
        await _wait_for_all(testbed, ready=True)
        victim = await testbed.owner()
        killed_ms = now_ms()
        victim.kill()
        await testbed.wait_for_recovery(killed_ms)
        victim.start()
    return times


async def _wait_for_all(testbed: Testbed, *, ready: bool) -> None:
    for replica in testbed.replicas:
        await until(
            partial(_is_ready, replica, ready=ready), f"a replica is {'' if ready else 'not '}ready", MAX_WAIT_S
        )


async def _is_ready(replica: Replica, *, ready: bool) -> bool:
    return ready is await replica.is_ready()


def _is_listening(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as connection:
        return connection.connect_ex((host, int(port))) == 0
