"""Which host owns a stream: in the status of each replica, in `state show` and in `status`, with a real broker."""

import json
from pathlib import Path
from typing import Any

import aiokafka
import pytest
from aiokafka.admin import NewTopic
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from collector.kafka.owners import known_owners
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin
from tests.commands.harness import collector
from tests.kafka.daemon import Daemon, until
from tests.vendor import Vendor, serving

pytestmark = pytest.mark.anyio


class Named(Daemon):
    """A replica on a host with this name."""

    def __init__(self, host: str, home: Path, kafka: str, prefix: str, vendor: Vendor) -> None:
        super().__init__(home, kafka, prefix, vendor)
        name = f"import socket; socket.gethostname = lambda: {host!r}"
        self.program = ("-c", f"{name}; from collector.__main__ import main; main()")

    async def status(self) -> dict[str, Any]:
        code, body = await self.get("/api/status")
        found: dict[str, Any] = json.loads(body) if code == 200 else {}
        return found


async def test_every_replica_reports_who_owns_each_stream(each_kafka: str, prefix: str, tmp_path: Path) -> None:
    vendor = Vendor([])
    async with serving(vendor):
        replicas = [Named(f"host-{nth}", tmp_path, each_kafka, prefix, vendor) for nth in range(2)]

        async def shown() -> list[dict[str, Any]]:
            return [await each.status() for each in replicas]

        async def is_known_to_both() -> bool:
            statuses = await shown()
            owners = [each["owners"] for each in statuses if each]
            return (
                len(owners) == 2
                and owners[0] == owners[1]
                and {"host-0", "host-1"} == {*owners[0].values()}
                and all(each["streams"][0]["owner"] for each in statuses)
            )

        async def is_taken_over() -> bool:
            (status,) = [each for each in await shown() if each]
            return status["host"] == status["streams"][0]["owner"] and len({*status["owners"].values()}) == 1

        try:
            for each in replicas:
                each.start()
            await until(is_known_to_both, "both replicas know who owns the stream")
            statuses = await shown()
            assert ["host-0", "host-1"] == [each["host"] for each in statuses]
            assert {"0", "1", "2", "3"} == {*statuses[0]["owners"]}
            (owner,) = {each["streams"][0]["owner"] for each in statuses}
            states = {each["host"]: each["streams"][0]["state"] for each in statuses}
            assert ["not_owned"] == [state for host, state in states.items() if host != owner]

            config = ("--config", str(replicas[0].config))
            listed = await collector("state", "show", "--json", *config)
            assert owner == json.loads(listed.out)["owner"]
            printed = await collector("status", "--url", f"http://127.0.0.1:{replicas[1].port}")
            assert (0, True) == (printed.code, owner in printed.out)

            (running,) = [each for each, status in zip(replicas, statuses, strict=True) if status["host"] == owner]
            running.stop()
            await until(is_taken_over, "the other replica owns all partitions")
            for each in replicas:
                each.stop()
            listed = await collector("state", "show", *config)
            assert listed.out.splitlines()[1].endswith(" -"), "no replica runs"
        finally:
            for each in replicas:
                each.close()


async def test_a_member_of_a_former_release_is_shown_by_its_address(kafka: str, prefix: str) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, topic_prefix=prefix, group=f"{prefix}group")
    async with admin(settings) as client:
        topic = settings.state_topic
        await client.create_topics([NewTopic(topic, 2, 1)])
        consumer = aiokafka.AIOKafkaConsumer(
            topic,
            bootstrap_servers=kafka,
            client_id="collector",
            group_id=settings.group,
            partition_assignment_strategy=(StickyPartitionAssignor,),
            enable_auto_commit=False,
        )
        await consumer.start()
        try:

            async def is_assigned() -> bool:
                await consumer.getmany(timeout_ms=100)
                return len(await known_owners(client, settings)) == 2

            await until(is_assigned, "the group has assigned the partitions")
            assert {0: "127.0.0.1", 1: "127.0.0.1"} == await known_owners(client, settings)
        finally:
            await consumer.stop()
        assert {} == await known_owners(client, settings)
