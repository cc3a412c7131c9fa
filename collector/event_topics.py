"""Prepares the topics at the start and at a reload, and releases streams as soon as their topics can be used."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

import anyio

from collector.config import Settings
from collector.errors import KafkaMisconfigured
from collector.kafka.connection import UNAVAILABLE
from collector.kafka.notices import KafkaNotice
from collector.kafka.topics import prepare_event_topics, prepare_topics
from collector.pipeline.message import PROGRESS
from collector.stream_handle import StreamHandle
from collector.telemetry.kafka import KafkaTelemetry

RETRY_S = 5.0
"""Time between two attempts to create or verify the topics that all streams need."""
EVENT_TOPICS_RETRY_S = 15.0
"""The same for topics for which only some streams wait, perhaps for days."""


class EventTopics:
    """The present topics. One that cannot be used delays only the streams that publish to it."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        handles: Callable[[], Iterable[StreamHandle]],
        telemetry: KafkaTelemetry,
        suspect: Callable[[], None],
    ) -> None:
        """`settings` and `handles` return the present ones. `suspect` is called if the brokers may be unavailable."""
        self._settings = settings
        self._handles = handles
        self._telemetry = telemetry
        self._suspect = suspect
        self._preparing = anyio.Lock()
        self._unusable: Mapping[str, KafkaMisconfigured] = {}
        """Why topics cannot be used, as of the last preparation. They are created once the brokers allow it."""
        self.max_ahead: timedelta | None = None
        """How far Kafka lets timestamps be ahead; None if that is not known, or not limited."""

    async def prepare(self) -> None:
        """Create missing topics and verify the others. Retries until those that all streams need can be used.

        The streams that publish to others that cannot be used wait for them, and all others run.
        """
        while True:
            async with self._preparing:  # two reloads: the result for the newer settings must be the last one
                if await self._is_prepared():
                    return
            await anyio.sleep(RETRY_S)

    async def _is_prepared(self) -> bool:
        """Prepare the present topics once. Returns whether those that all streams need can be used, else reports it."""
        settings = self._settings()
        names, compacted = settings.topics(), settings.compacted_topics()
        needed = {settings.kafka.topic_prefix + PROGRESS.topic}
        try:
            verified = await prepare_topics(settings.kafka, names, compacted, needed=needed)
        except KafkaMisconfigured as error:
            self._telemetry.topics_refused(str(error), error.advice)
        except Exception as error:  # noqa: BLE001 - no failure of Kafka ends the daemon
            if not isinstance(error, UNAVAILABLE):
                self._telemetry.unexpected(None, error)
            self._suspect()
        else:
            self.max_ahead, self._unusable = verified.max_ahead, verified.unusable
            self._report(verified.notices)
            self._telemetry.topics_ready()
            self.delay_streams()
            return True
        return False

    def delay_streams(self) -> None:
        """Let the present streams wait for the topics that cannot be used."""
        for handle in self._handles():
            handle.topics.unusable(self._unusable)

    async def watch(self) -> None:
        """Release the streams that wait for a topic as soon as it can be used. Never returns.

        What could not be used when it was prepared is created now if possible. A topic that was deleted later is not.
        """
        while True:
            await anyio.sleep(EVENT_TOPICS_RETRY_S)
            pending = self._unusable.keys() & self._settings().topics().keys()
            deleted = {name for handle in self._handles() for name in handle.topics.missing} - pending
            usable = await self._usable(pending, may_create=True) | await self._usable(deleted, may_create=False)
            self._unusable = {name: error for name, error in self._unusable.items() if name not in usable}
            for handle in self._handles():
                handle.topics.usable(usable)

    async def _usable(self, names: set[str], *, may_create: bool) -> set[str]:
        """Those of the topics that can be used, perhaps because they are created now."""
        if not names:
            return set()
        settings = self._settings()
        try:
            verified = await prepare_event_topics(
                settings.kafka, names, settings.compacted_topics(), may_create=may_create
            )
        except Exception as error:  # noqa: BLE001 - the streams report why they wait
            if not isinstance(error, (KafkaMisconfigured, *UNAVAILABLE)):
                self._telemetry.unexpected(None, error)
            return set()
        self._report(verified.notices)
        return names - verified.unusable.keys()

    def _report(self, notices: Iterable[KafkaNotice]) -> None:
        for notice in notices:
            self._telemetry.noticed(notice.code, notice.reason, notice.consequence)
