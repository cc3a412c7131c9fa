"""What the worker reports: outcomes are counted after the commit, ignored settings are noted."""

import logging
from collections.abc import Sequence

import pytest
import structlog
from msgspec import structs
from structlog.testing import capture_logs

from collector.cloudevents import Message
from collector.errors import EpochEnded
from collector.model import FieldSample, Window
from tests.simulated import at
from tests.worker.harness import MALFORMED, TYPE, SimulationOver, VendorRow
from tests.worker.scripted import HOUR, T0, Scenario, rows_each

pytestmark = pytest.mark.anyio


async def test_outcomes_are_counted_after_the_commit() -> None:
    start_s = T0 + 10 * 60
    rows = [
        VendorRow(start_s, start_s + 60, "fresh", "hello", start_s + 60),
        VendorRow(start_s, start_s + 60, "late", "hello", start_s + 40 * 60),
        VendorRow(start_s, start_s + 60, "twice", "one", start_s + 60, replaced_s=start_s + 30 * 60),
        VendorRow(start_s, start_s + 60, "twice", "two", start_s + 30 * 60),
        VendorRow(T0 - 60, T0 - 60, "outside", "hello", T0),
    ]
    scenario = Scenario(rows, start_s=T0 + 1, final_s=T0 + HOUR)
    await scenario.run()
    outcomes = {"fresh": 2, "late": 1, "revision": 1, "rejected": 0}
    assert outcomes == {name: scenario.metric("collector_records_total", outcome=name) for name in outcomes}
    assert scenario.metric("collector_records_total", outcome="duplicate") > 0
    assert 4 == scenario.metric("collector_events_published_total", type=TYPE.name)
    assert 2 == scenario.metric("collector_event_delay_seconds_count")


async def test_records_whose_commit_failed_are_not_counted() -> None:
    scenario = Scenario(rows_each(60, hours=1), start_s=T0 + HOUR, final_s=T0 + 6 * HOUR)

    async def fence(messages: Sequence[Message], state: object) -> None:
        del state
        if any(message.topic == TYPE.topic for message in messages):
            raise EpochEnded

    worker = scenario.worker()
    worker._commit = fence
    with pytest.raises(EpochEnded):
        await worker.run(at(T0))
    assert 0 == scenario.metric("collector_records_total", outcome="fresh")
    assert 0 == scenario.metric("collector_events_published_total", type=TYPE.name)


async def test_changed_fields_are_counted_before_rows_are_decoded_which_may_fail() -> None:
    scenario = Scenario(rows_each(10, hours=1), start_s=T0 + HOUR, final_s=T0 + 2 * HOUR)

    def script(_: Window, rows: list[VendorRow]) -> list[VendorRow]:
        if scenario.status.state == "parked":
            scenario.stream.sample = None
        return rows if scenario.stream.sample is None else [structs.replace(row, content=MALFORMED) for row in rows]

    scenario.stream.script = script
    scenario.stream.sample = FieldSample(20, {}, ("new",), ("old",))
    await scenario.run()

    assert 1 == scenario.metric("collector_polls_total", outcome="park")
    assert 1 == scenario.metric("collector_fields_unknown_total", field="new")
    assert 1 == scenario.metric("collector_fields_absent_total", field="old")


async def test_a_changed_since_or_selection_moves_nothing_and_is_noted_in_the_status() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with capture_logs() as logs:
        scenario = Scenario(rows_each(600), start_s=T0 + HOUR, final_s=T0 + 2 * HOUR)
        await scenario.run()
        state = scenario.clock.state
        assert state is not None
        scenario.clock.final = at(T0 + 3 * HOUR)
        scenario.stream.selection = "two devices"
        with pytest.raises(SimulationOver):
            await scenario.worker(state).run(at(T0 - 5 * HOUR))
    assert state.checkpoint is not None
    assert at(T0) == state.checkpoint.since
    assert ["since_ignored", "selection_changed"] == [each["event"] for each in logs]
    assert [each["advice"] for each in logs] == scenario.status.notices
