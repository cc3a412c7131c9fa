"""The daemon: builds its objects from the settings, runs one task per state partition, and stops on signals."""

import os
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from pathlib import Path
from random import Random

import anyio
import structlog
from anyio.abc import TaskGroup

from collector import __version__
from collector.clock import Clock, SystemClock
from collector.config import Settings
from collector.configured import Changes, ConfiguredSources, Surroundings
from collector.errors import KafkaMisconfigured
from collector.event_topics import EventTopics
from collector.kafka.availability import Availability
from collector.kafka.claim import claim
from collector.kafka.connection import UNAVAILABLE
from collector.kafka.diagnosis.probe import probe_cluster
from collector.kafka.epoch import MAX_RESTORES
from collector.kafka.group import Membership
from collector.kafka.header import HeaderMissing
from collector.kafka.notices import KafkaNotice
from collector.kafka.owners import Owners, this_host
from collector.kafka.producer import Fenced
from collector.kafka.topics import admin
from collector.partition import Partition
from collector.partitions import Partitions
from collector.registry.ids import SchemaIds, schema_ids
from collector.reload import Reloader
from collector.stream_handle import StreamHandle
from collector.telemetry.configuration import ConfigTelemetry
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.process import ProcessTelemetry
from collector.telemetry.status import ProcessStatus
from collector.telemetry.vendor import ClockTelemetry
from collector.vendors.clocks import ClockNotice
from collector.vendors.http import Http, http
from collector.web.server import serve_http

STOP_S = 25.0
"""How long a stop may take. A commit takes up to 20 s; orchestrators usually kill a process after 30 s."""
NEW_TOPICS_S = 10.0
"""How long a reload waits for the topics of new streams."""


class Daemon:
    """The running process."""

    def __init__(self, settings: Settings, clock: Clock, path: Path | None = None) -> None:
        """`path` is the configuration file to watch; None if the settings come from elsewhere."""
        self._settings = settings
        self._path = path
        self._clock = clock
        self._metrics = Metrics()
        self.process_status = ProcessStatus(
            __version__,
            settings.kafka.group,
            started=clock.now(),
            host=this_host(),
            bootstrap_servers=settings.kafka.bootstrap_servers,
        )
        self._process = ProcessTelemetry(self._metrics, self.process_status, clock)
        self._kafka = KafkaTelemetry(self._metrics, self.process_status, clock)
        config = ConfigTelemetry(self._metrics, self.process_status, clock)
        self._reloader = None if path is None else Reloader(path, settings, clock, config)
        self._availability = Availability(settings.kafka, self._kafka)
        self._membership = Membership(
            settings.kafka, self._kafka, self._availability.suspect, self._streams_of_partitions
        )
        self._owners = Owners(settings.kafka, self._kafka, clock)
        self._claim_lock = anyio.Lock()
        self._restores = anyio.Semaphore(MAX_RESTORES)
        self._clocks = ClockTelemetry(self.process_status)
        self._random = Random()  # noqa: S311 - jitter needs no cryptographic randomness

    async def run(self) -> None:
        """Run until cancelled. Failures of Kafka or of a vendor, and malformed data, do not end it.

        Raises UserError when the server cannot listen at `http.listen`: the process then exits with code 2.
        """
        async with AsyncExitStack() as stack:
            listen = self._settings.http
            await stack.enter_async_context(
                serve_http(
                    listen.address,
                    self.process_status,
                    self._metrics.registry,
                    self._clock,
                    before_status=self._owners.refresh,
                    hosts=listen.hosts or (),
                )
            )
            if not listen.is_loopback:
                advice = "this address is reachable from other machines and has no password; it exposes no secrets"
                structlog.get_logger().warning("listening_beyond_loopback", listen=listen.listen, advice=advice)
            client = await stack.enter_async_context(http(self._clock, self._clock_changed))
            registry = await stack.enter_async_context(schema_ids(self._settings.kafka.schema_registry, self._metrics))
            sources, topics = self._sources(client, registry)
            sources.apply(self._settings)
            self._report_start()
            stack.callback(self._process.stopped)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._process.run)
                tasks.start_soon(self._availability.watch)
                tasks.start_soon(self._owners.run)
                await topics.prepare()
                tasks.start_soon(self._report_cluster)
                tasks.start_soon(topics.watch)
                await self._run_partitions(sources, topics)

    async def receive_reload_signals(self) -> None:
        """Reload the configuration at SIGHUP, as soon as the partitions run. Until then, and later, it ends nothing."""
        if self._reloader is not None:
            await self._reloader.receive_signals()

    def _report_start(self) -> None:
        kafka = self._settings.kafka
        self._process.started(
            config=None if self._path is None else str(self._path),
            listen=self._settings.http.listen,
            brokers=kafka.bootstrap_servers,
            group=kafka.group,
            sources=len(self._settings.sources),
        )

    def _streams_of_partitions(self) -> Mapping[int, int]:
        """How many streams of the configuration each state partition has."""
        return Counter(each.partition for each in self.process_status.streams if each.partition is not None)

    def _sources(self, client: Http, registry: SchemaIds | None) -> tuple[ConfiguredSources, EventTopics]:
        def on_commit() -> None:
            if topics.max_ahead is not None:
                client.kafka_accepted(topics.max_ahead)

        surroundings = Surroundings(
            self._metrics, self.process_status, self._clock, self._random, client, registry, on_commit
        )
        sources = ConfiguredSources(surroundings, self._settings.kafka.state_partitions)
        topics = EventTopics(lambda: self._settings, sources.handles, self._kafka, self._availability.suspect)
        return sources, topics

    def _clock_changed(self, host: str, notice: ClockNotice | None) -> None:
        if notice is None:
            self._clocks.agrees(host)
        else:
            self._clocks.doubted(host, notice.code, notice.reason, notice.advice)

    async def _run_partitions(self, sources: ConfiguredSources, topics: EventTopics) -> None:
        """Stay a member of the consumer group and run the partitions that it assigns. Never returns."""
        membership = anyio.CancelScope(shield=True)  # the epochs must end before the process leaves the group
        partitions = Partitions(self._make_partition, self._kafka)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._run_membership, membership)
            try:
                async with anyio.create_task_group() as running:
                    running.start_soon(partitions.run, sources.by_partition())
                    if self._reloader is not None:
                        apply = partial(self._apply, sources, topics, partitions, running)
                        running.start_soon(self._reloader.run, apply)
            finally:
                membership.cancel()

    async def _apply(
        self,
        sources: ConfiguredSources,
        topics: EventTopics,
        partitions: Partitions,
        tasks: TaskGroup,
        settings: Settings,
    ) -> Changes:
        """Run the streams of other settings. Those that have not changed do not notice."""
        known, self._settings = self._settings.topics(), settings
        if settings.topics().keys() - known.keys():
            await self._prepare_new_topics(topics, tasks)
        changes = sources.apply(settings)
        topics.delay_streams()
        await partitions.replace(sources.by_partition())
        sources.release_replaced()
        return changes

    async def _run_membership(self, scope: anyio.CancelScope) -> None:
        with scope:
            await self._membership.run()

    def _make_partition(self, number: int, streams: Sequence[StreamHandle]) -> Partition:
        return Partition(
            number,
            streams,
            self._settings.kafka,
            self._kafka,
            self._membership,
            self._availability,
            claim=self._claim,
            restores=self._restores,
            clock=self._clock,
            random=self._random,
        )

    async def _prepare_new_topics(self, topics: EventTopics, tasks: TaskGroup) -> None:
        """As `EventTopics.prepare`, which may go on in the background: streams without a topic wait for it."""
        is_prepared = anyio.Event()

        async def prepare() -> None:
            await topics.prepare()
            is_prepared.set()

        tasks.start_soon(prepare)
        with anyio.move_on_after(NEW_TOPICS_S):
            await is_prepared.wait()

    async def _report_cluster(self) -> None:
        """Report what `check` says of the brokers, once. A failure to ask is none of the daemon."""
        kafka = self._settings.kafka
        if kafka.is_mock:
            return
        try:
            async with admin(kafka) as client, aclosing(probe_cluster(client, kafka)) as lines:
                async for what, result in lines:
                    match result:
                        case KafkaNotice():
                            self._kafka.noticed(result.code, result.reason, result.consequence)
                        case KafkaMisconfigured():
                            self._kafka.noticed(result.code, str(result), result.advice)
                        case _:
                            self._kafka.checked(what, result)
        except Exception as error:  # noqa: BLE001 - services may respond as no Apache Kafka does
            if not isinstance(error, (KafkaMisconfigured, *UNAVAILABLE)):
                self._kafka.unexpected(None, error)
            self._availability.suspect()

    async def _claim(self, missing: HeaderMissing) -> Exception | None:
        """Claim the state topic if nothing was ever published. Returns why that was not possible, or None."""
        try:
            async with self._claim_lock:
                has_header = await claim(self._settings.kafka, self._settings.topics(), missing.partition)
                return None if has_header else missing
        except Exception as error:  # noqa: BLE001 - the caller reports it and retries
            if not isinstance(error, (Fenced, KafkaMisconfigured, *UNAVAILABLE)):
                self._kafka.unexpected(missing.partition, error)
            return error


async def run(settings: Settings, path: Path | None = None) -> None:
    """Run the daemon until SIGTERM or SIGINT. A second signal ends the process at once; nothing is lost either way.

    `path` is the configuration file: its sources are reloaded when they change.
    """
    daemon = Daemon(settings, SystemClock(), path)
    async with anyio.create_task_group() as process:
        running = anyio.CancelScope()
        process.start_soon(_stop_on_signal, running)
        process.start_soon(daemon.receive_reload_signals)  # also while it waits for Kafka, and while it stops
        with running:
            await daemon.run()
        process.cancel_scope.cancel()


async def _stop_on_signal(daemon: anyio.CancelScope) -> None:
    """Cancel the daemon at the first signal. Exit with code 1 at the second one, or when the stop takes too long."""
    log = structlog.get_logger()
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as deadline:
            async for number in signals:
                if daemon.cancel_called:
                    os._exit(1)
                log.info("stopping", signal=signal.Signals(number).name, within_s=STOP_S)
                daemon.cancel()
                deadline.start_soon(_exit_after_deadline)


async def _exit_after_deadline() -> None:
    await anyio.sleep(STOP_S)
    structlog.get_logger().warning("stop_overdue", reason="Kafka did not respond in time; nothing is lost")
    os._exit(1)
