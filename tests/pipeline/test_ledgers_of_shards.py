"""What one shard of a stream has published is not new in the others."""

from collections.abc import Sequence

import pytest
from msgspec import structs

from collector.model import DedupMode, Record, Reject
from collector.pipeline.ledger import PAGE_S, Ledger
from tests.pipeline.test_ledger import new_records, publish, row


def shards(dedup_mode: DedupMode, *, number: int = 3) -> list[Ledger]:
    """The ledgers of the shards of one stream."""
    ledgers = [Ledger(dedup_mode) for _ in range(number)]
    for ledger in ledgers:
        ledger.others = [each for each in ledgers if each is not ledger]
    return ledgers


def with_parts(*parts: str, key: str = "a") -> Record[str]:
    return structs.replace(row(key), parts=tuple(map(str.encode, parts)))


def positions(ledger: Ledger, rows: Sequence[Record[str]]) -> list[tuple[int, object]]:
    """The number and the new parts of each new record, which is not committed."""
    found, _ = new_records(ledger, rows)
    return [(each.number, each.parts) for new in found for each in new.records]


@pytest.mark.parametrize("dedup_mode", [DedupMode.MULTISET, DedupMode.VERSIONED])
def test_a_record_that_another_shard_has_published_is_not_new(dedup_mode: DedupMode) -> None:
    paris, tokyo, _ = shards(dedup_mode)
    publish(tokyo, [row("a")])

    found, deduplicator = new_records(paris, [row("a"), row("b")])

    assert ["b:hello"] == [each.record.payload for new in found for each in new.records]
    assert 1 == deduplicator.duplicate


def test_equal_records_of_several_shards_are_counted_together() -> None:
    paris, tokyo, new_york = shards(DedupMode.MULTISET)
    assert [("a:hello", 0)] == publish(tokyo, [row("a")])
    assert [("a:hello", 1)] == publish(new_york, [row("a"), row("a")])

    assert [("a:hello", 2)] == publish(paris, [row("a")] * 3)
    assert [] == publish(new_york, [row("a")] * 3)
    assert [("a:hello", 3)] == publish(tokyo, [row("a")] * 4)


def test_known_fingerprints_of_all_shards_are_matched_first() -> None:
    paris, tokyo, new_york = shards(DedupMode.MULTISET)
    publish(tokyo, [row("a", "first")])
    publish(new_york, [row("a", "first"), row("a", "second")])

    assert [("a:third", 2)] == publish(paris, [row("a", each) for each in ("third", "second", "first")])


def test_a_revision_follows_the_highest_number_of_all_shards() -> None:
    paris, tokyo, new_york = shards(DedupMode.VERSIONED)
    publish(tokyo, [row("a", "first")])
    assert [("a:second", 1)] == publish(new_york, [row("a", "second")])

    assert [] == publish(paris, [row("a", "second")])
    assert [("a:first", 2)] == publish(paris, [row("a", "first")])  # it has changed back
    assert [] == publish(tokyo, [row("a", "first")])
    assert [("a:third", 3)] == publish(new_york, [row("a", "third")])


def test_a_placeholder_is_only_published_as_a_revision_of_what_any_shard_has_published() -> None:
    paris, tokyo, _ = shards(DedupMode.VERSIONED)
    publish(tokyo, [row("a", "first")])

    rows = [structs.replace(row(key, "gone"), only_if_known=True) for key in ("a", "b")]

    assert [("a:gone", 1)] == publish(paris, rows)


def test_a_later_part_is_a_part_of_the_occurrence_that_another_shard_has_published() -> None:
    paris, tokyo, _ = shards(DedupMode.MULTISET)
    publish(tokyo, [with_parts("x")])

    assert [(0, {1: 1})] == positions(paris, [with_parts("x", "y")])
    publish(paris, [with_parts("x", "y")])
    assert [] == positions(tokyo, [with_parts("x", "y")])
    assert [(0, {2: 2})] == positions(tokyo, [with_parts("x", "y", "z")])


def test_an_occurrence_with_other_parts_is_new_in_every_shard() -> None:
    paris, tokyo, new_york = shards(DedupMode.MULTISET)
    publish(tokyo, [with_parts("x")])
    publish(new_york, [with_parts("x"), with_parts("y")])

    assert [] == positions(paris, [with_parts("y"), with_parts("x")])
    assert [(2, None)] == positions(paris, [with_parts("y"), with_parts("x"), with_parts("z")])


def test_a_reject_is_one_dead_letter_in_all_shards() -> None:
    paris, tokyo, _ = shards(DedupMode.MULTISET)
    reject = Reject(b"{}", "malformed")
    publish(tokyo, [reject], requested_s=5000)

    found, deduplicator = new_records(paris, [reject, Reject(b"[]", "malformed")], requested_s=5000 + PAGE_S)

    assert [b"[]"] == [new.reject.payload for new in found if new.reject is not None]
    assert 1 == deduplicator.duplicate


def test_a_reject_that_keeps_arriving_in_another_shard_is_stored_there_before_it_expires() -> None:
    paris, tokyo, _ = shards(DedupMode.MULTISET)
    reject, later_s = Reject(b"{}", "malformed"), 100_000
    publish(tokyo, [reject], requested_s=0)

    assert [] == publish(paris, [reject], final_s=later_s, requested_s=later_s)
    for page in tokyo.expired(later_s):
        tokyo.forget(page)
    found, _ = new_records(tokyo, [reject], final_s=later_s, requested_s=later_s)

    assert [] == [new for new in found if new.reject is not None]
    assert later_s == paris.last_stored_s(next(iter(paris._reject_page)))


def test_a_page_that_one_shard_has_dropped_is_still_known_from_the_others() -> None:
    paris, tokyo, _ = shards(DedupMode.VERSIONED)
    publish(tokyo, [row("a", "first")])
    publish(paris, [row("a", "second")])
    for page in list(tokyo.pages().values()):
        tokyo.forget(page)

    assert [] == publish(tokyo, [row("a", "second")])
    assert [("a:third", 2)] == publish(tokyo, [row("a", "third")])
