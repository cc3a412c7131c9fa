"""Telemetry of Kafka: the current state in status and metrics, and one log line per event."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus, StreamStatus
from collector.telemetry.stream import StreamTelemetry
from tests.simulated import START, SimulatedClock
from tests.web.served import CHECKPOINT, WINDOW

ADVICE = "start the brokers"


class Process:
    """A process with one stream: its status and its telemetry."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.status = StreamStatus("seemetrix", "mall", "sessions")
        self.process_status = ProcessStatus("1", "group", [self.status])
        self.kafka = KafkaTelemetry(self.metrics, self.process_status, SimulatedClock())
        self.stream = StreamTelemetry(self.metrics, self.status, ["seemetrix.session.v1"])
        self.kafka.topics_ready()
        self.kafka.assigned([3])

    def run_stream(self) -> None:
        self.kafka.epoch_began(3, 0.1, 1)
        self.stream.owned(CHECKPOINT, 0)
        self.stream.polled(WINDOW, 1, 0.1, CHECKPOINT, behind=False, now=START)

    @property
    def state(self) -> str:
        """The state of the stream in the metrics, which must be that in the status."""
        labels = {"source": "mall", "stream": "sessions"}
        shown = [
            state
            for state in (
                "live",
                "catching_up",
                "restoring",
                "backing_off",
                "parked",
                "paused",
                "complete",
                "not_owned",
            )
            if self.value("collector_stream_state", **labels, state=state)
        ]
        assert [self.status.as_json(START)["state"]] == shown
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


def test_no_stream_is_healthy_during_an_outage_and_its_state_returns_afterwards(process: Process) -> None:
    process.run_stream()
    assert ("live", 1) == (process.state, process.value("collector_kafka_ready"))

    process.kafka.unavailable("no broker responds", ADVICE)

    assert ("backing_off", 0) == (process.state, process.value("collector_kafka_ready"))
    last_error = process.status.as_json(START)["last_error"]
    assert isinstance(last_error, dict)
    assert ("no broker responds", ADVICE) == (last_error["error"], last_error["advice"])
    process.kafka.available()
    assert ("live", 1) == (process.state, process.value("collector_kafka_ready"))
    assert process.status.as_json(START)["last_error"] is None


def test_an_outage_is_logged_once_when_it_starts_and_once_when_it_ends(
    logged: list[dict[str, object]],
) -> None:
    process = Process()
    process.run_stream()
    logged.clear()

    process.kafka.unavailable("no broker responds", ADVICE)
    process.kafka.coordinator_unavailable()
    process.kafka.left_group("it does not respond")
    process.kafka.aborted("no response in time")
    process.kafka.epoch_ended(3, "no response in time")
    process.stream.released()
    for _ in range(3):
        process.kafka.unavailable("another reason", ADVICE)
        process.kafka.blocked(3, "no response in time")
        process.kafka.epoch_ended(3, "no response in time")
        process.stream.released()
    process.kafka.available()

    lines = [(line["event"], line["log_level"]) for line in logged if line["log_level"] != "debug"]
    assert [("kafka_unavailable", "warning"), ("kafka_ready", "info")] == lines


def test_nothing_is_logged_when_a_partition_ends_that_was_never_owned(logged: list[dict[str, object]]) -> None:
    process = Process()
    logged.clear()

    process.kafka.epoch_ended(3, "no response in time")
    process.stream.released()

    assert [] == [line for line in logged if line["log_level"] != "debug"]


def test_a_process_is_not_ready_while_a_partition_needs_an_operator(
    process: Process,
) -> None:
    process.kafka.blocked(3, "partition 3 has no header", "collector state init")
    process.stream.blocked("partition 3 has no header", "collector state init", 15, START)

    assert "parked" == process.state
    assert "partition 3 has no header; collector state init" == process.process_status.not_ready_reason()
    assert "refused" == process.process_status.as_json(START)["kafka"]["state"]  # type: ignore[index]
    assert 1 == process.value("collector_kafka_ready"), "the other partitions are available"
    process.stream.restoring(0.5)
    assert "parked" == process.state, "it stays parked while it is retried"
    process.run_stream()
    assert ("live", "") == (process.state, process.process_status.not_ready_reason())


def test_streams_of_a_blocked_partition_back_off_until_it_is_assigned_elsewhere(
    process: Process,
) -> None:
    process.kafka.blocked(3, "no response in time")
    process.stream.blocked("no response in time", None, 15, START)
    assert "backing_off" == process.state
    assert "state partition 3: no response in time" == process.process_status.not_ready_reason()

    process.kafka.unblocked(3)
    process.stream.released()

    assert ("not_owned", "") == (process.state, process.process_status.not_ready_reason())


def test_the_same_reason_for_many_partitions_is_logged_once(logged: list[dict[str, object]]) -> None:
    process = Process()
    logged.clear()
    for partition in range(5):
        process.kafka.blocked(partition, "the password is wrong", "correct it")
        process.kafka.blocked(partition, "the password is wrong", "correct it")
    assert ["kafka_refused"] == [line["event"] for line in logged]


def test_the_progress_of_restores_is_exported(process: Process) -> None:
    assert 1 == process.value("collector_state_restore_progress_ratio")
    process.kafka.restoring(3, 30, 100)
    process.kafka.restoring(4, 0, 20)
    process.stream.restoring(0.3)

    assert ("restoring", 0.3) == (process.state, process.status.as_json(START)["restoring"])
    assert 0.25 == process.value("collector_state_restore_progress_ratio")
    process.kafka.epoch_ended(4, "fenced")
    process.run_stream()
    assert ("live", None) == (process.state, process.status.as_json(START)["restoring"])
    assert 1 == process.value("collector_state_restore_progress_ratio")


def test_records_that_name_no_stream_are_logged_once_until_they_change(
    process: Process, logged: list[dict[str, object]]
) -> None:
    for keys in (["a/b"], ["a/b"], [], ["c"]):
        process.kafka.unnamed_records(3, keys)
    assert [["a/b"], ["c"]] == [line["keys"] for line in logged if line["event"] == "state_records_unnamed"]


def test_a_partition_that_failed_unexpectedly_is_ready_only_after_an_epoch_has_lasted(process: Process) -> None:
    process.kafka.epoch_failed(3)
    process.kafka.blocked(3, "unexpected LookupError")
    process.kafka.epoch_began(3, 0.1, 1)
    assert "state partition 3: unexpected LookupError" == process.process_status.not_ready_reason()
    process.kafka.unblocked(3)
    assert process.process_status.not_ready_reason() == ""


def test_a_renewal_that_fails_is_logged_once_until_one_succeeds(
    process: Process, logged: list[dict[str, object]]
) -> None:
    for failure in ("no token", "no token", None, None, "no token"):
        process.kafka.sessions_renewed(failure)

    assert ["kafka_session_not_renewed"] * 2 == [line["event"] for line in logged]
