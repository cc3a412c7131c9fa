"""What the daemon says of the brokers at its start never ends it."""

from pathlib import Path
from typing import NoReturn

import pytest
from aiokafka.errors import KafkaConnectionError

from collector import app
from collector.app import Daemon
from collector.config import load
from collector.errors import KafkaMisconfigured
from tests.commands.harness import write_config
from tests.simulated import SimulatedClock

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "error",
    [
        KafkaConnectionError(),
        KafkaMisconfigured("no", advice="do", code="no"),
        ValueError("a limit that is not a number"),
        LookupError("a response without the field"),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_a_service_that_responds_as_no_kafka_does_not_end_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def failing(_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(app, "admin", failing)

    await Daemon(load(Path(write_config(tmp_path, "https://127.0.0.1:1/api"))), SimulatedClock())._report_cluster()
