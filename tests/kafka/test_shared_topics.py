"""A new deployment that publishes into the topics of another one, with a state topic of its own."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from tests.commands.harness import collector
from tests.kafka.daemon import Daemon, reading, until
from tests.vendor import Known, Vendor, serving, session

pytestmark = pytest.mark.anyio

SESSIONS = 5
NOW = datetime.now(UTC)
SINCE = f"{NOW - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"


class Sharing(Daemon):
    """Publishes into the topics with this prefix."""

    def share(self, prefix: str) -> None:
        header = "[sources.mall]\n"
        text = self.config.read_text("utf-8").replace(header, f'{header}topic_prefix = "{prefix}"\n')
        self.config.write_text(text, "utf-8")


async def test_a_new_deployment_waits_until_an_operator_says_that_it_shares_topics(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    """The same account is fetched twice, so that the second deployment publishes everything once more."""
    random = Random(1)
    known = [Known(session(NOW - timedelta(seconds=60 + n), random, n), NOW) for n in range(SESSIONS)]
    shared = f"{prefix}shared."
    async with serving(Vendor(known)) as vendor, reading(kafka, [f"{shared}seemetrix.sessions"]) as reader:
        first, second = (Sharing(tmp_path, kafka, f"{prefix}{name}.", vendor, since=SINCE) for name in "ab")
        first.share(shared)
        second.share(shared)

        async def times(number: int) -> bool:
            received = Counter(each.id for each in await reader.poll())
            return [number] * SESSIONS == list(received.values())

        async def is_refused() -> bool:
            return bool(second.log_lines("kafka_refused"))

        async def is_ready() -> bool:
            return await second.is_ready()

        try:
            first.start()
            await until(lambda: times(1), "the first deployment publishes")
            second.start()
            await until(is_refused, "the second deployment is refused")
            line, *_ = second.log_lines("kafka_refused")
            facts = ("another deployment publishes into the same event topics", "collector state init", "When state is")
            assert not [fact for fact in facts if fact not in f"{line}"]
            second.stop()
            checked = await collector("check", "--config", str(second.config))
            assert 1 == checked.code
            assert "another deployment" in checked.out

            accepted = await collector("state", "init", "--config", str(second.config))
            assert 0 == accepted.code, accepted.err
            second.start()
            await until(is_ready, "the second deployment is ready")
            await until(lambda: times(2), "the second deployment publishes")
            assert await first.is_ready()
            assert [] == first.log_lines("kafka_refused")
        finally:
            first.close()
            second.close()
