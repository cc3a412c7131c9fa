"""What is new: never what is known, whatever the order of answers and however often a row comes."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from collector.model import DedupMode, Record, Reject
from collector.pipeline import ledger as ledger_module
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import PAGE_S, Ledger, NewRecords
from collector.pipeline.page import ENTRY, grouped

FOREVER = 1 << 40


def row(key: str, says: str = "hello", *, start_s: int = 1000, end_s: int | None = None) -> Record[str]:
    end_s = start_s + 60 if end_s is None else end_s
    return Record(f"{key}@{start_s}".encode(), says.encode(), start_s * 1000, end_s * 1000, start_s, f"{key}:{says}")


def sift(
    ledger: Ledger,
    rows: Sequence[Record[str] | Reject],
    *,
    since_ms: int = 0,
    until_ms: int | None = None,
    final_s: int = 0,
    requested_s: int = 0,
) -> tuple[list[NewRecords[str]], Deduplicator[str]]:
    deduplicator: Deduplicator[str] = Deduplicator(
        ledger, since_ms=since_ms, until_ms=until_ms, final_s=final_s, requested_s=requested_s
    )
    deduplicator.add(rows)
    return list(deduplicator.new()), deduplicator


def publish(
    ledger: Ledger, rows: Sequence[Record[str] | Reject], *, final_s: int = 0, requested_s: int = 5000
) -> list[tuple[str, int]]:
    """Sift an answer, commit all that is new in it, and return that."""
    found, _ = sift(ledger, rows, final_s=final_s, requested_s=requested_s)
    for page, chunk in grouped(entry for new in found for entry in new.entries).items():
        ledger.add(page, chunk)
    return [(sequence_of.record.payload, sequence_of.number) for new in found for sequence_of in new.records]


def test_of_rows_two_equal_ones_are_two_things() -> None:
    ledger = Ledger(DedupMode.MULTISET)
    assert [("a:hello", 0), ("a:hello", 1)] == publish(ledger, [row("a"), row("a")])
    assert [] == publish(ledger, [row("a"), row("a")])


def test_a_twin_that_comes_late_is_the_one_that_was_missing() -> None:
    ledger = Ledger(DedupMode.MULTISET)
    assert [("a:with glasses", 0)] == publish(ledger, [row("a", "with glasses")])
    assert [("a:without", 1)] == publish(ledger, [row("a", "without"), row("a", "with glasses")])


def test_of_rows_a_change_of_the_rest_is_nothing_new() -> None:
    ledger = Ledger(DedupMode.MULTISET)
    publish(ledger, [row("a", "old fields")])
    assert [] == publish(ledger, [row("a", "old and new fields")])


def test_of_versions_a_change_is_a_revision_also_when_it_changes_back() -> None:
    ledger = Ledger(DedupMode.VERSIONED)
    assert [("a:this", 0)] == publish(ledger, [row("a", "this")])
    assert [("a:that", 1)] == publish(ledger, [row("a", "that")])
    assert [] == publish(ledger, [row("a", "that")])
    assert [("a:this", 2)] == publish(ledger, [row("a", "this")])


def test_a_row_that_ends_before_final_is_outside_since_the_ledger_has_forgotten_it() -> None:
    ledger = Ledger(DedupMode.VERSIONED)
    found, deduplicator = sift(ledger, [row("a", end_s=1500)], final_s=1501)
    assert (0, 1, 0) == (len(found), deduplicator.outside, deduplicator.duplicate)
    found, deduplicator = sift(ledger, [row("a", end_s=1500)], final_s=1500)
    assert (1, 0, 0) == (len(found), deduplicator.outside, deduplicator.duplicate)


def test_a_stream_is_the_records_that_start_in_it() -> None:
    rows = [row("early", start_s=99), row("first", start_s=100), row("last", start_s=199), row("late", start_s=200)]
    found, deduplicator = sift(Ledger(DedupMode.VERSIONED), rows, since_ms=100_000, until_ms=200_000)
    assert ["first:hello", "last:hello"] == [new.records[0].record.payload for new in found]
    assert 2 == deduplicator.outside


def test_what_is_new_comes_by_start_whatever_the_vendor_s_order() -> None:
    rows = [row("c", start_s=3), row("a", start_s=1), row("b", start_s=2)]
    assert [("a:hello", 0), ("b:hello", 0), ("c:hello", 0)] == publish(Ledger(DedupMode.VERSIONED), rows)


def test_a_bad_row_is_new_once() -> None:
    ledger = Ledger(DedupMode.VERSIONED)
    bad: Record[str] | Reject = Reject(b"?", "it is no row")
    assert 1 == len(sift(ledger, [bad, bad], requested_s=5000)[0])
    publish(ledger, [bad], requested_s=5000)
    found, deduplicator = sift(ledger, [bad], final_s=1000, requested_s=9000)
    assert (0, 1) == (len(found), deduplicator.duplicate)


def test_a_bad_row_that_keeps_coming_is_remembered_for_as_long_as_it_does() -> None:
    ledger, letters = Ledger(DedupMode.VERSIONED), 0
    bad: Record[str] | Reject = Reject(b"?", "it is no row")
    for requested_s in range(0, 1_000_000, 700):  # a lateness of an hour, over eleven days
        final_s = requested_s - 3600
        for page in ledger.expired(final_s):
            ledger.forget(page)
        found, _ = sift(ledger, [bad], final_s=final_s, requested_s=requested_s)
        letters += sum(new.reject is not None for new in found)
        for page_number, chunk in grouped(entry for new in found for entry in new.entries).items():
            ledger.add(page_number, chunk)
    assert 1 == letters
    assert len(ledger) < 10


def test_a_page_is_kept_until_its_longest_record_has_ended() -> None:
    ledger = Ledger(DedupMode.VERSIONED)
    publish(ledger, [row("short", start_s=10, end_s=20), row("long", start_s=10, end_s=9000)])
    assert [] == ledger.expired(9000)
    assert [0] == [page.number for page in ledger.expired(9001)]


def test_pages_that_are_read_are_closed_again() -> None:
    ledger = Ledger(DedupMode.MULTISET)
    opened = ledger_module.MAX_OPEN_ENTRIES
    ledger_module.MAX_OPEN_ENTRIES = 10
    try:
        for page in range(20):
            rows = [row(f"{number}", start_s=page * PAGE_S) for number in range(5)]
            assert 5 == len(publish(ledger, rows))
            assert [] == publish(ledger, rows)
        assert sum(page.known is not None for page in ledger.pages().values()) <= 2
    finally:
        ledger_module.MAX_OPEN_ENTRIES = opened


def test_an_entry_takes_twenty_bytes() -> None:
    assert 20 == ENTRY.size


_rows = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y"]), st.integers(0, 2)), max_size=12)


@given(answers=st.lists(_rows, max_size=6))
def test_of_rows_as_many_are_published_as_were_ever_together_in_one_answer(
    answers: list[list[tuple[str, str, int]]],
) -> None:
    ledger, published, most = Ledger(DedupMode.MULTISET), Counter[str](), Counter[str]()
    for answer in answers:
        rows = [row(key, says, start_s=slot * PAGE_S) for key, says, slot in answer]
        seen = Counter(record.key.decode() for record in rows)
        most |= seen
        found, _ = sift(ledger, rows)
        published.update(new.records[0].record.key.decode() for new in found for _ in new.records)
        for page, chunk in grouped(entry for new in found for entry in new.entries).items():
            ledger.add(page, chunk)
    assert most == published


@given(
    answer=_rows,
    random=st.randoms(use_true_random=False),
    dedup_mode=st.sampled_from([DedupMode.MULTISET, DedupMode.VERSIONED]),
)
def test_what_is_published_does_not_depend_on_the_order_in_an_answer(
    answer: list[tuple[str, str, int]], random: object, dedup_mode: DedupMode
) -> None:
    rows = [row(key, says, start_s=slot * PAGE_S) for key, says, slot in answer]
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert publish(Ledger(dedup_mode), rows) == publish(Ledger(dedup_mode), shuffled)
    assert publish(Ledger(dedup_mode), rows) == publish(Ledger(dedup_mode), [*rows])


@given(versions=st.lists(st.sampled_from("xyz"), min_size=1, max_size=10), repeats=st.integers(1, 3))
def test_of_versions_each_change_is_one_revision_however_often_it_comes(versions: list[str], repeats: int) -> None:
    ledger, found = Ledger(DedupMode.VERSIONED), []
    for says in versions:
        for _ in range(repeats):
            found += publish(ledger, [row("a", says)])
    changes = [says for i, says in enumerate(versions) if i == 0 or versions[i - 1] != says]
    assert [(f"a:{says}", number) for number, says in enumerate(changes)] == found
