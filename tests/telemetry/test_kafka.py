"""What the status, the metrics and the log show of Kafka: what is so now, and one line for each thing that happened."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus, StreamStatus
from collector.telemetry.stream import StreamTelemetry
from tests.simulated import START, SimulatedClock
from tests.web.served import HEAD, WINDOW

ADVICE = "start the brokers"


class Process:
    """A board, and what happens to it."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.row = StreamStatus("seemetrix", "mall", "sessions")
        self.process_status = ProcessStatus("1", "group", [self.row])
        self.kafka = KafkaTelemetry(self.metrics, self.process_status, SimulatedClock())
        self.stream = StreamTelemetry(self.metrics, self.row, ["seemetrix.session.v1"])
        self.kafka.ready()
        self.kafka.assigned([3])

    def runs(self) -> None:
        self.kafka.epoch_began(3, 0.1, 1)
        self.stream.owned(HEAD, 0)
        self.stream.polled(WINDOW, 1, 0.1, HEAD, behind=False, now=START)

    @property
    def state(self) -> str:
        """As the status and the metrics show it, which must agree."""
        labels = {"source": "mall", "stream": "sessions"}
        shown = [
            state
            for state in ("live", "catching_up", "restoring", "backing_off", "parked", "complete", "not_owned")
            if self.value("collector_stream_state", **labels, state=state)
        ]
        assert [self.row.as_json(START)["state"]] == shown
        return shown[0]

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def logged(silence_logs: None) -> Iterator[list[dict[str, object]]]:
    del silence_logs
    structlog.reset_defaults()
    with capture_logs() as lines:
        yield lines  # type: ignore[misc]


def test_while_kafka_is_away_no_stream_counts_as_well_and_afterwards_it_is_what_it_was(process: Process) -> None:
    process.runs()
    assert ("live", 1) == (process.state, process.value("collector_kafka_ready"))

    process.kafka.unavailable("no broker answers", ADVICE)

    assert ("backing_off", 0) == (process.state, process.value("collector_kafka_ready"))
    trouble = process.row.as_json(START)["last_error"]
    assert isinstance(trouble, dict)
    assert ("no broker answers", ADVICE) == (trouble["error"], trouble["advice"])
    process.kafka.answers()
    assert ("live", 1) == (process.state, process.value("collector_kafka_ready"))
    assert process.row.as_json(START)["last_error"] is None


def test_an_outage_is_one_line_when_it_begins_and_one_when_it_ends(
    logged: list[dict[str, object]],
) -> None:
    process = Process()
    process.runs()
    logged.clear()

    process.kafka.unavailable("no broker answers", ADVICE)
    process.kafka.coordinator_away("")
    process.kafka.left_group("it does not answer")
    process.kafka.aborted("no answer in time")
    process.kafka.epoch_ended(3, "no answer in time")
    process.stream.disowned()
    for _ in range(3):
        process.kafka.unavailable("another reason", ADVICE)
        process.kafka.blocked(3, "no answer in time")
        process.kafka.epoch_ended(3, "no answer in time")
        process.stream.disowned()
    process.kafka.answers()

    lines = [(line["event"], line["log_level"]) for line in logged if line["log_level"] != "debug"]
    assert [("kafka_unavailable", "warning"), ("kafka_ready", "info")] == lines


def test_a_partition_that_was_never_ours_ends_and_releases_nothing(logged: list[dict[str, object]]) -> None:
    process = Process()
    logged.clear()

    process.kafka.epoch_ended(3, "no answer in time")
    process.stream.disowned()

    assert [] == [line for line in logged if line["log_level"] != "debug"]


def test_a_partition_that_cannot_be_taken_over_makes_the_process_not_ready_and_its_streams_wait(
    process: Process,
) -> None:
    process.kafka.blocked(3, "partition 3 has no header", "collector state init")
    process.stream.blocked("partition 3 has no header", "collector state init", 15, START)

    assert "parked" == process.state
    assert "partition 3 has no header; collector state init" == process.process_status.not_ready()
    assert "refused" == process.process_status.as_json(START)["kafka"]["state"]  # type: ignore[index]
    assert 1 == process.value("collector_kafka_ready"), "others go on"
    process.stream.restoring(0.5)
    assert "parked" == process.state, "it stays so while it is tried again"
    process.runs()
    assert ("live", "") == (process.state, process.process_status.not_ready())


def test_passing_trouble_with_a_partition_lets_its_streams_back_off_until_it_is_somebody_elses(
    process: Process,
) -> None:
    process.kafka.blocked(3, "no answer in time")
    process.stream.blocked("no answer in time", None, 15, START)
    assert "backing_off" == process.state
    assert "state partition 3: no answer in time" == process.process_status.not_ready()

    process.kafka.unblocked(3)
    process.stream.disowned()

    assert ("not_owned", "") == (process.state, process.process_status.not_ready())


def test_the_same_refusal_of_many_partitions_is_one_line(logged: list[dict[str, object]]) -> None:
    process = Process()
    logged.clear()
    for partition in range(5):
        process.kafka.blocked(partition, "the password is wrong", "correct it")
        process.kafka.blocked(partition, "the password is wrong", "correct it")
    assert ["kafka_refused"] == [line["event"] for line in logged]


def test_restoring_shows_how_much_is_read(process: Process) -> None:
    assert 1 == process.value("collector_state_restore_progress_ratio")
    process.kafka.restoring(3, 30, 100)
    process.kafka.restoring(4, 0, 20)
    process.stream.restoring(0.3)

    assert ("restoring", 0.3) == (process.state, process.row.as_json(START)["restoring"])
    assert 0.25 == process.value("collector_state_restore_progress_ratio")
    process.kafka.epoch_ended(4, "fenced")
    process.runs()
    assert ("live", None) == (process.state, process.row.as_json(START)["restoring"])
    assert 1 == process.value("collector_state_restore_progress_ratio")
