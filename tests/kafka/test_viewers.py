"""Both vendors at once, with exports that continue while the daemon is killed: everything is published once."""

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import anyio
import msgspec
import pytest

from collector.commands.verdict import ReceivedEvents, judge
from collector.instants import floor_second
from collector.simulator import seemetrix, vidicenter
from collector.simulator.base import Simulation
from collector.simulator.rules import Rules
from collector.simulator.server import serving
from collector.simulator.vidicenter import SOURCE, VidiCenter
from tests.kafka.daemon import reading, until
from tests.kafka.scenario import (
    ALL_TOPICS,
    DEVICES,
    MAX_CALLS,
    ZONE,
    CountedFaults,
    Replica,
    busy_world,
    quividi_source,
    read_all,
    running_exports,
    seemetrix_source,
    verdict_reader,
)

pytestmark = pytest.mark.anyio


async def test_no_record_of_either_vendor_is_lost_or_duplicated_whenever_the_daemon_is_killed(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    random, start = Random(4), floor_second(datetime.now(UTC))
    since = start - timedelta(minutes=3)
    world = busy_world(since, start)
    faults = CountedFaults({"429": 0.05, "500": 0.05, "truncated": 0.05}, seed=2)
    rules = Rules(zone=ZONE, export_s=0.5, calls_per_minute=MAX_CALLS)
    async with (
        serving(world, host="127.0.0.1", port=0, rules=rules, faults=faults) as vendors,
        reading(kafka, [prefix + topic for topic in ALL_TOPICS]) as reader,
    ):
        sources = seemetrix_source(vendors, since) + quividi_source(vendors, since, DEVICES)
        daemon = Replica(tmp_path, kafka, prefix, sources)

        async def is_exporting() -> bool:
            return running_exports(vendors.vendor(VidiCenter)) > 0

        try:
            for number in range(4):
                daemon.start()
                if number % 2:
                    await until(is_exporting, "an export runs")
                    await anyio.sleep(random.uniform(0, rules.export_s))
                else:
                    await anyio.sleep(random.uniform(0.5, 4))
                daemon.kill()
            daemon.start()
            last_start = datetime.now(UTC) + timedelta(seconds=2)

            async def all_final() -> bool:
                await reader.poll()
                checkpoints = (await daemon.checkpoints()).values()
                return len(checkpoints) == 2 and all(
                    checkpoint is not None and checkpoint.final > last_start for checkpoint in checkpoints
                )

            await until(all_final, "all records from before the last start are final")
            checkpoints = await daemon.checkpoints()
            daemon.send(signal.SIGTERM)
            assert 0 == daemon.wait()
        finally:
            daemon.close()
        messages = await read_all(reader)
    vendor = vendors.vendor(VidiCenter)
    verdict = judge(vendors.vendors, since, checkpoints, verdict_reader(messages))
    assert (0, 0) == (verdict.missing, verdict.duplicated)
    assert verdict.simulated > 400
    assert sum(each.value["occurrence"] for each in messages if each.topic == f"{prefix}quividi.viewers") > 3
    assert [] == [each for each in messages if each.topic == f"{prefix}collector.dead_letters"]
    assert (True, 0) == (1 <= vendor.max_running <= 3, vendor.refused)
    # One build for each window, and some whose start a killed process did not record: polls never force a rebuild.
    assert len(vendor._exports) <= vendor.started <= 1.5 * len(vendor._exports)
    assert {"429", "500", "truncated"} == (+faults.counts).keys()
    log = daemon.log.read_text("utf-8")
    assert [] == [secret for secret in (seemetrix.KEY, vidicenter.TOKEN) if secret in log]


async def test_a_replica_waits_while_exports_of_a_killed_replica_use_all_places(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    start = floor_second(datetime.now(UTC))
    since = start - timedelta(minutes=2)
    world = busy_world(since, start)
    sources = {f"airport_{location}": location for location in DEVICES}
    rules = Rules(zone=ZONE, export_s=8, calls_per_minute=MAX_CALLS)
    async with (
        serving(world, host="127.0.0.1", port=0, rules=rules) as vendors,
        reading(kafka, [f"{prefix}quividi.viewers"]) as reader,
    ):
        vendor = vendors.vendor(VidiCenter)
        config = "".join(quividi_source(vendors, since, [location], name) for name, location in sources.items())
        replicas = [Replica(tmp_path, kafka, prefix, config) for _ in range(2)]
        states: set[str] = set()
        try:
            for replica in replicas:
                replica.start()

            async def all_places_are_used() -> bool:
                return running_exports(vendor) == 3 and all([await each.states() for each in replicas])

            await until(all_places_are_used, "three exports run, and both replicas respond")
            (other,) = [each for each in replicas if {"not_owned"} == await each.states()]
            (owner,) = [each for each in replicas if each is not other]
            owner.kill()
            vendor._rules = msgspec.structs.replace(rules, export_s=0.5)  # of exports that start from now on

            async def taken_over() -> bool:
                states.update(await other.states())
                checkpoints = (await other.checkpoints()).values()
                return len(checkpoints) == 3 and all(
                    checkpoint is not None and checkpoint.watermark > start for checkpoint in checkpoints
                )

            await until(taken_over, "the other replica has published the viewers of all sources")
            checkpoints = await other.checkpoints()
            other.send(signal.SIGTERM)
            assert 0 == other.wait()
        finally:
            for replica in replicas:
                replica.close()
        messages = await read_all(reader)
    assert states <= {"not_owned", "restoring", "catching_up", "live"}
    assert "parked" not in other.log.read_text("utf-8")
    assert vendor.refused > 0
    assert 3 == vendor.max_running
    received = verdict_reader(messages)
    for name, location in sources.items():
        world_of_source = msgspec.structs.replace(world, devices=(location,))
        vendor_of_source = VidiCenter(Simulation(world_of_source, vendor._now_ms, rules))
        of_source = ReceivedEvents(received.ids, {SOURCE: received.records[name]})
        verdict = judge([vendor_of_source], since, {SOURCE: checkpoints[name]}, of_source)
        assert (name, 0, 0) == (name, verdict.missing, verdict.duplicated)
        assert verdict.simulated > 20
