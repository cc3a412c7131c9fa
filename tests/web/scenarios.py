"""Scenarios for the status page: processes in many states, built from the real telemetry."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from math import pi, sin
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from collector.alignment import Alignment, AnySecond, Periods
from collector.errors import Park, RetryLater
from collector.instants import SECOND, UNIX_EPOCH_LOCAL, unix_s
from collector.model import Checkpoint, DedupMode, Pause, Policy, Tally, Window
from collector.pipeline.activity import activity_timeline
from collector.pipeline.ledger import PAGE_S
from collector.pipeline.page import ENTRY, Chunk
from collector.pipeline.state import State, StateFormat
from collector.places import PlaceHealth, PlacesHealth, PlaceState
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus, SourceStatus, StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.telemetry.vendor import VendorTelemetry
from tests.simulated import START, SimulatedClock

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NOW = START + timedelta(hours=14, minutes=23, seconds=12)
UTC_ZONE, PARIS = ZoneInfo("UTC"), ZoneInfo("Europe/Paris")
HOST = "collector-0"
OTHER_PARTITIONS = 100
"""The first partition of those that other replicas own."""
HOURS = Periods(UTC_ZONE, UNIX_EPOCH_LOCAL, HOUR)
ADVICE = "the key is invalid: correct sources.mall.user_key; the collector uses the new key automatically"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>&lt;b&gt; "
SHOPS = ("arcade", "bazaar", "court", "depot", "emporium", "forum", "gallery", "harbour", "island", "junction")


class Scenario:
    """A process: its status, and the telemetry that updates it."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(NOW)
        self.metrics = Metrics()
        self.process_status = ProcessStatus(
            "1.2.3",
            "collector",
            started=NOW - 26 * HOUR,
            host=HOST,
            bootstrap_servers="kafka-1.example:9092,kafka-2.example:9092",
        )
        self.kafka = KafkaTelemetry(self.metrics, self.process_status, self.clock)
        self.streams: dict[str, StreamTelemetry] = {}
        self.checkpoints: dict[str, Checkpoint] = {}
        self._random = Random(11)

    def connected(self, *partitions: int) -> "Scenario":
        """Kafka is available, and this process owns these partitions."""
        self.kafka.topics_ready()
        self.kafka.assigned(partitions)
        for partition in partitions:
            self.kafka.epoch_began(partition, 0.2, 10)
        self.kafka.committed(0.01)
        self.kafka.owners_known(dict.fromkeys(partitions, HOST))
        return self

    def elsewhere(self, **hosts: str) -> None:
        """Other hosts own the streams of these sources."""
        owners = dict(self.process_status.owners)
        for nth, (source, host) in enumerate(hosts.items(), OTHER_PARTITIONS):
            owners[nth] = host
            for row in self.process_status.streams:
                if row.source == source:
                    row.partition = nth
        self.kafka.owners_known(owners)

    def source(self, name: str, vendor: str = "seemetrix") -> SourceStatus:
        """The status of a source, which is configured now if it is not yet."""
        for row in self.process_status.sources:
            if row.source == name:
                return row
        row = SourceStatus(vendor, name, f"{vendor}.example:8443")
        self.process_status.sources.append(row)
        return row

    def add(self, source: str, stream: str = "sessions", vendor: str = "seemetrix") -> StreamTelemetry:
        """Configure a stream that this process does not own yet."""
        self.source(source, vendor)
        row = StreamStatus(vendor, source, stream)
        self.process_status.streams.append(row)
        name = f"{source} {stream}"
        self.streams[name] = StreamTelemetry(self.metrics, row, [f"{vendor}.thing.v1"])
        return self.streams[name]

    def live(
        self,
        source: str,
        stream: str = "sessions",
        vendor: str = "seemetrix",
        *,
        settle: timedelta = 2 * MINUTE,
        final: timedelta = 30 * HOUR,
        rate: float = 60,
        alignment: Alignment | None = None,
        zone: ZoneInfo = UTC_ZONE,
        behind: timedelta | None = None,
    ) -> StreamTelemetry:
        """A stream that was polled until now, or until `behind` ago, with most records during the day."""
        alignment = alignment or AnySecond()
        telemetry, policy = (
            self.add(source, stream, vendor),
            Policy(
                interval=MINUTE,
                settle=settle,
                allowed_lateness=3 * HOUR,
                sweep_every=HOUR,
                span=6 * HOUR,
                until=None,
                alignment=alignment,
            ),
        )
        polled_until = alignment.floor(NOW - (behind or timedelta()))
        watermark = alignment.floor(min(polled_until, NOW - settle))
        checkpoint = Checkpoint(NOW - 400 * HOUR, watermark, alignment.floor(NOW - final), 6 * HOUR, NOW)
        max_clock_offset = timedelta(0) if zone is UTC_ZONE else 24 * HOUR
        state = State("prefix", StateFormat(DedupMode.MULTISET, 1, max_clock_offset), checkpoint)
        self._fill(state, polled_until, rate, alignment, zone)
        telemetry.owned(checkpoint, len(state.ledger), partial(activity_timeline, state, policy, zone))
        for minute in range(60):
            when = NOW - (59 - minute) * MINUTE
            if when <= polled_until and (count := self._random.randint(0, int(rate / 5))):
                telemetry.committed(
                    Tally({"fresh": count}, {f"{vendor}.thing.v1": count}), checkpoint, len(state.ledger), when
                )
        telemetry.polled(
            Window(polled_until - MINUTE, polled_until),
            3,
            0.2,
            checkpoint,
            behind=behind is not None,
            now=polled_until - SECOND,
        )
        self.checkpoints[f"{source} {stream}"] = checkpoint
        return telemetry

    def _fill(self, state: State, end: datetime, rate: float, alignment: Alignment, zone: ZoneInfo) -> None:
        """Add ledger entries for every page, or every period, after `final`."""
        assert state.checkpoint is not None
        cell = alignment.floor(NOW - 36 * HOUR)
        while cell <= end:
            local = cell.astimezone(zone)
            page = (unix_s(cell) + int((local.utcoffset() or timedelta()).total_seconds())) // PAGE_S
            activity = max(0.0, sin((local.hour + local.minute / 60 - 7) / 15 * pi))
            count = int(self._random.gauss(rate * activity, rate * activity / 6)) if activity else 0
            if count > 0 and page * PAGE_S + PAGE_S > state.final_s:
                state.ledger.add(page, Chunk(bytes(ENTRY.size * count), page * PAGE_S + PAGE_S - 1, 1))
            cell = max(cell + timedelta(seconds=PAGE_S), alignment.after(cell))

    def park(self, name: str, error: str = "HTTP 401", advice: str = ADVICE) -> None:
        """The stream has been parked for four minutes."""
        self.streams[name].parked(None, Park(error, advice=advice), failures=9, delay_s=540, now=NOW - 4 * MINUTE)

    def back_off(self, name: str, error: str = "no response within the timeout of 60 s") -> None:
        checkpoint = self.checkpoints[name]
        window = Window(checkpoint.watermark, NOW)
        self.streams[name].retrying(window, RetryLater(error), failures=3, delay_s=55, now=NOW - timedelta(seconds=20))

    def exports(self, source: str, in_flight: int, proxy: str | None = None) -> None:
        row = self.source(source, "quividi")
        row.proxy = proxy
        telemetry = VendorTelemetry(self.metrics, source, row)
        telemetry.set_export_limit(3)
        for _ in range(in_flight):
            telemetry.export_started()

    def places(self, source: str, counts: Mapping[PlaceState, int], *worst: PlaceHealth) -> None:
        """The source lists its places."""
        row = self.source(source, "quividi")
        VendorTelemetry(self.metrics, source, row).places("locations", PlacesHealth(NOW - MINUTE, counts, worst))


def ten_healthy(*, more: Mapping[str, timedelta] | None = None) -> Scenario:
    """Ten healthy streams, and `more` streams by name of the source that are this far behind."""
    scenario = Scenario().connected(*range(2, 13))
    for nth, shop in enumerate(SHOPS):
        if nth % 3 == 2:
            scenario.live(shop, "viewers", "quividi", settle=45 * MINUTE, zone=PARIS, rate=20 + 9 * nth)
            scenario.exports(shop, nth % 3)
        else:
            scenario.live(shop, rate=25 + 14 * nth)
    for source, behind in (more or {}).items():
        scenario.live(source, behind=behind)
    return scenario


def one_parked() -> Scenario:
    """One parked stream and ten healthy ones."""
    scenario = ten_healthy(more={"mall": 3 * HOUR})
    scenario.park("mall sessions")
    return scenario


def all_states() -> Scenario:
    """One stream in each state, with and without a timeline."""
    scenario = ten_healthy(more={"mall": 3 * HOUR, "kiosk": 25 * MINUTE})
    scenario.park("mall sessions")
    scenario.back_off("kiosk sessions")
    scenario.live("archive", final=6 * HOUR)
    scenario.live("archive", "statistics", alignment=HOURS, settle=HOUR, rate=40)
    scenario.live("backfill", behind=200 * HOUR)
    scenario.live("atrium", behind=HOUR).paused(Pause("maintenance", NOW - HOUR, NOW + HOUR, "ann@desk"))
    scenario.add("arcade", "devices").owned(scenario.checkpoints["archive sessions"], 12)
    scenario.places(
        "lobby",
        {"uploading": 2317, "late": 1, "silent": 1, "inactive": 4, "unknown": 1},
        PlaceHealth(5121, HOSTILE, "silent", 31 * HOUR),
        PlaceHealth(5124, "a_place_with_a_" + "very_" * 30 + "long_name", "late", 150 * MINUTE),
        PlaceHealth(5122, None, "unknown", None),
    )
    scenario.live("last_year").completed(scenario.checkpoints["last_year sessions"])
    for nth in range(6):
        scenario.add(f"other_{nth}")
    scenario.elsewhere(**{f"other_{nth}": f"collector-{1 + nth % 2}" for nth in range(5)})
    return scenario


def standby() -> Scenario:
    """A replica that owns nothing: another one owns the streams."""
    scenario = Scenario().connected()
    for stream in ("sessions", "devices"):
        scenario.add("mall", stream)
    scenario.elsewhere(mall="collector-1")
    return scenario


def kafka_away() -> Scenario:
    """Kafka was available and no longer is: no stream runs."""
    scenario = ten_healthy()
    for stream in scenario.streams.values():
        stream.released()
    for partition in range(2, 13):
        scenario.kafka.epoch_ended(partition, "KafkaConnectionError")
    advice = "check kafka.bootstrap_servers, and that the brokers are running"
    scenario.kafka.unavailable("no broker responds at kafka.example:9092: Connection refused", advice)
    scenario.clock.pass_s(312)
    return scenario


def two_hundred_streams() -> Scenario:
    """Two hundred streams with long names and long errors, some of which contain HTML and scripts."""
    scenario = Scenario().connected(*range(32))
    for nth in range(200):
        scenario.live(
            f"account_of_the_{'very_' * (nth % 7)}large_shopping_centre_{nth}", settle=MINUTE * (1 + nth % 50)
        )
    names = list(scenario.streams)
    scenario.park(names[40], HOSTILE + "and_no_place_to_break_it_" * 20, "do not " + HOSTILE)
    scenario.park(
        names[150], "HTTP 403", "the key may not read this: " + "check the user and the ids in the settings " * 8
    )
    for nth in (7, 77, 177):
        scenario.back_off(names[nth])
    scenario.streams[names[3]].since_ignored(NOW, scenario.checkpoints[names[3]])
    return scenario


def paused_backfilled_and_refused(status: dict[str, Any]) -> None:
    """What a status has while a stream is paused, another one is backfilled, and a changed configuration is wrong."""
    paused, live = status["streams"][:2]
    paused["state"] = "paused"
    paused["paused"] = {
        "reason": "the key is rotated",
        "since": "2026-11-01T12:00:00Z",
        "until": "2026-11-01T16:00:00Z",
        "by": "ops@laptop",
    }
    period = {"from": "2026-08-01T00:00:00Z", "to": "2026-10-31T00:00:00Z", "share": 0.427}
    status["streams"].append({**live, "stream": "sessions~backfill", "state": "catching_up", "backfill": period})
    waiting = {**period, "share": 1.0, "late_until": "2026-11-07T00:00:00Z"}
    status["streams"].append({**live, "stream": "attention~backfill", "state": "live", "backfill": waiting})
    status["config"] = {"refused_at": "2026-11-01T14:03:00Z", "errors": ["sources.mall.user_id: missing"]}
