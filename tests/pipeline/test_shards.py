"""Where the shards of a stream continue when the zones of its source change, and what their ledgers share."""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from collector.errors import UnreadableState
from collector.instants import unix_s
from collector.model import Account, Checkpoint, DedupMode, Policy
from collector.pipeline.batch import Batch
from collector.pipeline.ledger import PAGE_S
from collector.pipeline.message import Origin
from collector.pipeline.page import ENTRY, Chunk, Entry, digest
from collector.pipeline.progress import Progress
from collector.pipeline.shards import Shards, whole_prefix
from collector.pipeline.state import State, StateFormat, stream_prefix
from collector.pipeline.state_records import encode_checkpoint

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)  # summer time: Paris +02:00, New York -04:00, Tokyo +09:00
SINCE = NOON - 300 * DAY
FORMAT = StateFormat(DedupMode.MULTISET, 1, 2 * DAY)
POLICY = Policy(interval=HOUR, settle=HOUR, allowed_lateness=4 * DAY, sweep_every=DAY, span=DAY)
ACCOUNT = Account("quividi", "ann@example.com")
ORIGIN = Origin(ACCOUNT, "lobby", "viewers")

PARIS, NEW_YORK, TOKYO, LORD_HOWE = "Europe/Paris", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe"


def prefix(zone: str) -> str:
    """The prefix of the shard of a zone; Paris is the source's own."""
    return stream_prefix(ACCOUNT, "lobby", *names([zone]))


def names(zones: Iterable[str]) -> list[str]:
    """The names of the shards of these zones."""
    return ["viewers" if zone == PARIS else f"viewers@{zone}" for zone in zones]


def at(final: datetime, selection: str = "a", *, since: datetime = SINCE, zone: str = "") -> Checkpoint:
    return Checkpoint(since, final + 4 * DAY, final, HOUR, final + 4 * DAY, selection, zone)


def shards_of(stored: Mapping[str, Checkpoint | None], *configured: str, state_format: StateFormat = FORMAT) -> Shards:
    """The loaded shards, with these stored checkpoints. Without `configured`, all of them are configured."""
    zones: dict[str, tzinfo] = {prefix(each): ZoneInfo(each) for each in configured or stored}
    shards = Shards(state_format, zones, Progress(ORIGIN, POLICY, zones), nullcontext())
    shards.pairs = {
        prefix(zone): {"": encode_checkpoint(checkpoint)} for zone, checkpoint in stored.items() if checkpoint
    }
    for each in zones:
        shards.load(each)
    return shards


def joined(shards: Shards, zone: str, selection: str = "b") -> Checkpoint:
    found = shards.joined(prefix(zone), selection)
    assert found is not None
    return found


def commit(shards: Shards, zone: str, selection: str = "b") -> Checkpoint:
    """Join a shard, durably."""
    checkpoint = joined(shards, zone, selection)
    shards.load(prefix(zone)).apply(Batch(checkpoint=checkpoint))
    return checkpoint


@pytest.mark.parametrize(
    ("name", "whole"),
    [("viewers", "viewers"), ("viewers@America/New_York", "viewers"), ("viewers@", "viewers"), ("a@b@c", "a")],
)
def test_all_shards_of_a_stream_have_one_whole_prefix(name: str, whole: str) -> None:
    found = whole_prefix(stream_prefix(ACCOUNT, "lobby", name))

    assert stream_prefix(ACCOUNT, "lobby", whole) == found
    assert found != whole_prefix(stream_prefix(ACCOUNT, "lobby2", name))


def test_a_new_stream_starts_anew_in_each_zone() -> None:
    shards = shards_of({PARIS: None, TOKYO: None})

    assert [None, None] == [shards.joined(prefix(zone), "a") for zone in (PARIS, TOKYO)]


@pytest.mark.parametrize("zone", [NEW_YORK, TOKYO])
def test_a_zone_of_a_new_stream_that_has_not_begun_before_a_crash_starts_where_the_stream_starts(zone: str) -> None:
    shards = shards_of({PARIS: at(SINCE), zone: None})

    assert (SINCE, SINCE, SINCE) == (
        joined(shards, zone, "a").since,
        joined(shards, zone, "a").final,
        joined(shards, zone, "a").watermark,
    )
    assert at(SINCE, zone=PARIS) == joined(shards, PARIS, "a")


def test_a_stream_of_one_zone_only_takes_over_the_selection() -> None:
    assert at(NOON, "b", zone=PARIS) == joined(shards_of({PARIS: at(NOON)}), PARIS)


@pytest.mark.parametrize("selection", ["a", "b"])
@pytest.mark.parametrize(
    ("former", "hours"),
    [
        ("", 0),  # an earlier release did not store the zone
        (PARIS, 0),
        ("Mars/Olympus", 0),
        (TOKYO, 0),  # places that are said to be further in the west: their records start later than was said
        (NEW_YORK, 6),
    ],
)
def test_a_stream_of_one_zone_continues_where_it_was_final_on_both_clocks(
    former: str, hours: int, selection: str
) -> None:
    found = joined(shards_of({PARIS: at(NOON, zone=former)}), PARIS, selection)

    assert (NOON - hours * HOUR, PARIS, selection) == (found.final, found.zone, found.selection)
    assert found.final == found.watermark or former in {"", PARIS}


def test_a_shard_continues_while_the_selection_is_the_same() -> None:
    shards = shards_of({PARIS: at(NOON), TOKYO: at(NOON - 5 * HOUR)})

    expected = [at(NOON, zone=PARIS), at(NOON - 5 * HOUR, zone=TOKYO)]
    assert expected == [joined(shards, zone, "a") for zone in (PARIS, TOKYO)]


@pytest.mark.parametrize(("zone", "offset"), [(NEW_YORK, 0), (TOKYO, -7), (LORD_HOWE, -8.5)])
def test_a_new_zone_starts_where_the_others_are_final_in_utc_and_on_its_own_clock(zone: str, offset: float) -> None:
    shards = shards_of({PARIS: at(NOON), zone: None})
    start = NOON + offset * HOUR

    assert Checkpoint(SINCE, start, start, HOUR, start, "b", zone) == joined(shards, zone)
    assert NOON == joined(shards, PARIS).final


def test_a_new_zone_does_not_start_before_its_stream() -> None:
    shards = shards_of({PARIS: at(NOON, since=NOON), TOKYO: None})

    assert (NOON, NOON) == (joined(shards, TOKYO).since, joined(shards, TOKYO).final)


def test_all_shards_move_back_to_where_all_are_final() -> None:
    # On their clocks: Paris 14:00, New York 06:00 on the same day, Tokyo 23:00 on the day before
    shards = shards_of({PARIS: at(NOON), NEW_YORK: at(NOON - 2 * HOUR), TOKYO: at(NOON + 2 * HOUR - DAY)})
    utc, local = NOON + 2 * HOUR - DAY, datetime(2026, 5, 31, 23)  # noqa: DTZ001 - local

    for zone in (PARIS, NEW_YORK, TOKYO):
        found = joined(shards, zone)
        assert min(utc, local.replace(tzinfo=ZoneInfo(zone))) == found.final == found.watermark
        assert "b" == found.selection


def test_a_shard_whose_zone_was_removed_holds_back_the_others_until_all_have_joined() -> None:
    shards = shards_of({PARIS: at(NOON), NEW_YORK: at(NOON - DAY), TOKYO: at(NOON)}, PARIS, TOKYO)

    assert NOON - DAY > commit(shards, PARIS).final - HOUR
    assert () == shards.retired("b")
    commit(shards, TOKYO)
    assert [prefix(NEW_YORK)] == shards.retired("b")
    shards.retire(prefix(NEW_YORK))
    assert [] == list(shards.retired("b"))
    assert joined(shards, PARIS, "b") == joined(shards, PARIS, "b")


def test_a_zone_with_another_name_continues_where_the_former_one_is_final() -> None:
    calcutta, kolkata = "Asia/Calcutta", "Asia/Kolkata"
    shards = shards_of({PARIS: at(NOON), calcutta: at(NOON - 3 * HOUR), kolkata: None}, PARIS, kolkata)

    # In Paris it is 14:00, in India 14:30: at 14:00 it is 08:30 in UTC
    assert NOON - 3.5 * HOUR == joined(shards, kolkata).final


@pytest.mark.parametrize(
    ("former", "configured", "heir"),
    [
        ("Asia/Calcutta", [PARIS, "Asia/Kolkata"], "Asia/Kolkata"),
        ("Europe/Berlin", [PARIS, "Europe/Vienna"], "Europe/Vienna"),  # Paris has records of its own
        (TOKYO, [PARIS, NEW_YORK], None),
        ("No/Such_Zone", [PARIS, NEW_YORK], None),
    ],
)
def test_the_timeline_of_a_zone_goes_on_under_another_name(
    former: str, configured: list[str], heir: str | None
) -> None:
    page = int(NOON.timestamp()) // PAGE_S
    shards = shards_of(dict.fromkeys(configured), *configured)
    for zone, count in {former: 3, PARIS: 2}.items():
        state = State(prefix(zone), FORMAT)
        state.ledger.add(page, Chunk(bytes(ENTRY.size * count), page * PAGE_S, 1))
        shards._states[prefix(zone)] = state

    inherited = {zone: [len(each) for each in shards.load(prefix(zone)).inherited] for zone in configured}

    assert {zone: [3] if zone == heir else [] for zone in configured} == inherited


@pytest.mark.parametrize("first", [PARIS, NEW_YORK, TOKYO])
def test_a_crash_between_two_joins_loses_nothing_of_the_others(first: str) -> None:
    stored = {PARIS: at(NOON), NEW_YORK: at(NOON + HOUR), TOKYO: None}
    expected = {zone: joined(shards_of(stored), zone) for zone in stored}

    after_crash = shards_of({**stored, first: expected[first]})

    assert {*names(stored)} - {*names([first])} == {*after_crash.not_joined("b")}
    assert all(commit(after_crash, zone).final <= expected[zone].final for zone in stored)
    assert [] == list(after_crash.not_joined("b"))


def test_no_shard_may_advance_before_all_have_joined() -> None:
    shards = shards_of({PARIS: at(NOON), TOKYO: None})

    assert names([PARIS, TOKYO]) == shards.not_joined("b")
    commit(shards, PARIS)
    assert names([TOKYO]) == shards.not_joined("b")
    commit(shards, TOKYO)
    assert [] == shards.not_joined("b")


def test_a_stream_of_one_zone_waits_for_none() -> None:
    assert () == shards_of({PARIS: None}).not_joined("a")


def test_an_unreadable_state_of_any_shard_stops_all() -> None:
    shards = shards_of({PARIS: at(NOON), TOKYO: at(NOON)})
    damaged = Shards(FORMAT, {prefix(PARIS): UTC}, shards.progress, nullcontext())
    damaged.pairs = {prefix(TOKYO): {"": b"{}"}}

    with pytest.raises(UnreadableState, match="viewers%40Asia%2FTokyo"):
        damaged.load(prefix(PARIS))


def entry(start: datetime, key: str = "a") -> Entry:
    start_s = unix_s(start)
    return Entry(start_s // 600, start_s, ENTRY.pack(digest(key.encode()), digest(b""), 0), 1)


@pytest.mark.parametrize("zone", [PARIS, TOKYO])
def test_a_shard_knows_what_all_others_have_published_also_one_that_is_not_configured(zone: str) -> None:
    shards = shards_of({PARIS: at(NOON), TOKYO: at(NOON), NEW_YORK: at(NOON)}, PARIS, TOKYO)
    state = shards.load(prefix(zone))

    assert 2 == len(state.ledger.others)
    assert state.ledger not in state.ledger.others
    assert 1 == len(state.others)


def test_a_shard_that_is_not_configured_and_names_no_zone_does_not_matter() -> None:
    odd = Shards(FORMAT, {prefix(PARIS): ZoneInfo(PARIS)}, Progress(ORIGIN, POLICY, [prefix(PARIS)]), nullcontext())
    odd.pairs = {
        prefix(PARIS): {"": encode_checkpoint(at(NOON))},
        prefix("No/Zone"): {"": encode_checkpoint(at(NOON - DAY))},
    }
    odd.load(prefix(PARIS))

    assert at(NOON, "b", zone=PARIS) == odd.joined(prefix(PARIS), "b")


@pytest.mark.parametrize(("behind", "is_kept"), [(10 * DAY, True), (100 * DAY, True), (timedelta(0), False)])
def test_a_ledger_keeps_what_another_shard_may_fetch_again(behind: timedelta, *, is_kept: bool) -> None:
    shards = shards_of({PARIS: at(NOON - 10 * DAY), TOKYO: at(NOON - behind)})
    paris = shards.load(prefix(PARIS))
    paris.apply(Batch(entries=[entry(NOON - 7 * DAY)]))

    changes = paris.pairs(Batch(checkpoint=at(NOON)))
    paris.apply(Batch(checkpoint=at(NOON)))

    assert is_kept == bool(paris.ledger.pages())
    assert is_kept == (None not in changes.values())


def test_a_ledger_keeps_nothing_for_a_zone_that_was_removed() -> None:
    shards = shards_of({PARIS: at(NOON - 10 * DAY), TOKYO: at(NOON - 10 * DAY)}, PARIS)
    paris = shards.load(prefix(PARIS))
    paris.apply(Batch(entries=[entry(NOON - 7 * DAY)]))

    paris.apply(Batch(checkpoint=at(NOON)))

    assert not paris.ledger.pages()
