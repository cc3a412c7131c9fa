"""Deduplication: which rows of a response are new, in any order and however often the vendor returns them."""

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from collector.errors import Park
from collector.model import DedupMode, Record, Reject
from collector.pipeline import ledger as ledger_module
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import MAX_VERSIONS, PAGE_S, Ledger, NewRecords
from collector.pipeline.page import ENTRY, Chunk, Page, chunks_by_page
from tests.rows import without_steps


def row(key: str, content: str = "hello", *, start_s: int = 1000, end_s: int | None = None) -> Record[str]:
    end_s = start_s + 60 if end_s is None else end_s
    return Record(
        f"{key}@{start_s}".encode(), content.encode(), start_s * 1000, end_s * 1000, start_s, f"{key}:{content}"
    )


def new_records(
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
    return without_steps(deduplicator.take_new()), deduplicator


def publish(
    ledger: Ledger, rows: Sequence[Record[str] | Reject], *, final_s: int = 0, requested_s: int = 5000
) -> list[tuple[str, int]]:
    """Commit the new records of a response; return the payload and number of each."""
    found, _ = new_records(ledger, rows, final_s=final_s, requested_s=requested_s)
    for page, chunk in chunks_by_page(entry for new in found for entry in new.entries).items():
        ledger.add(page, chunk)
    return [(each.record.payload, each.number) for new in found for each in new.records]


def test_two_equal_rows_of_a_multiset_are_two_records() -> None:
    ledger = Ledger(DedupMode.MULTISET)
    assert [("a:hello", 0), ("a:hello", 1)] == publish(ledger, [row("a"), row("a")])
    assert [] == publish(ledger, [row("a"), row("a")])


def test_a_late_twin_is_new_and_the_known_one_is_not() -> None:
    ledger = Ledger(DedupMode.MULTISET)
    assert [("a:with glasses", 0)] == publish(ledger, [row("a", "with glasses")])
    assert [("a:without", 1)] == publish(ledger, [row("a", "without"), row("a", "with glasses")])


def test_a_changed_fingerprint_of_a_multiset_row_is_not_new() -> None:
    ledger = Ledger(DedupMode.MULTISET)
    publish(ledger, [row("a", "old fields")])
    assert [] == publish(ledger, [row("a", "old and new fields")])


def test_each_change_of_a_versioned_row_is_a_revision_even_back_to_earlier_content() -> None:
    ledger = Ledger(DedupMode.VERSIONED)
    assert [("a:this", 0)] == publish(ledger, [row("a", "this")])
    assert [("a:that", 1)] == publish(ledger, [row("a", "that")])
    assert [] == publish(ledger, [row("a", "that")])
    assert [("a:this", 2)] == publish(ledger, [row("a", "this")])


def test_a_record_that_is_published_only_if_known_is_a_revision_or_nothing() -> None:
    ledger, withdrawn = Ledger(DedupMode.VERSIONED), structs.replace(row("a", "withdrawn"), only_if_known=True)
    assert [] == publish(ledger, [withdrawn])
    assert 0 == len(ledger)
    assert [("a:this", 0)] == publish(ledger, [withdrawn, row("a", "this")])
    assert [("a:withdrawn", 1)] == publish(ledger, [withdrawn])
    assert [] == publish(ledger, [withdrawn])
    assert [("a:this", 2)] == publish(ledger, [row("a", "this")])


def test_a_record_that_is_published_only_if_known_is_not_counted_as_a_row() -> None:
    ledger, withdrawn = Ledger(DedupMode.VERSIONED), structs.replace(row("a", "withdrawn"), only_if_known=True)
    for found_number, final_s in ((0, 0), (0, 5000)):
        found, deduplicator = new_records(ledger, [withdrawn], final_s=final_s)
        assert (found_number, 0, 0) == (len(found), deduplicator.outside, deduplicator.duplicate)
    publish(ledger, [row("a", "this")])
    found, deduplicator = new_records(ledger, [withdrawn, row("b")])
    assert (2, 0, 0) == (len(found), deduplicator.outside, deduplicator.duplicate)
    publish(ledger, [withdrawn])
    found, deduplicator = new_records(ledger, [withdrawn, row("a", "withdrawn")])
    assert (0, 0, 1) == (len(found), deduplicator.outside, deduplicator.duplicate)


def test_a_row_that_ends_before_final_is_outside() -> None:
    ledger = Ledger(DedupMode.VERSIONED)
    found, deduplicator = new_records(ledger, [row("a", end_s=1500)], final_s=1501)
    assert (0, 1, 0) == (len(found), deduplicator.outside, deduplicator.duplicate)
    found, deduplicator = new_records(ledger, [row("a", end_s=1500)], final_s=1500)
    assert (1, 0, 0) == (len(found), deduplicator.outside, deduplicator.duplicate)


def test_rows_that_start_outside_of_since_and_until_are_outside() -> None:
    rows = [row("early", start_s=99), row("first", start_s=100), row("last", start_s=199), row("late", start_s=200)]
    found, deduplicator = new_records(Ledger(DedupMode.VERSIONED), rows, since_ms=100_000, until_ms=200_000)
    assert ["first:hello", "last:hello"] == [new.records[0].record.payload for new in found]
    assert 2 == deduplicator.outside


def test_new_records_are_ordered_by_start() -> None:
    rows = [row("c", start_s=3), row("a", start_s=1), row("b", start_s=2)]
    assert [("a:hello", 0), ("b:hello", 0), ("c:hello", 0)] == publish(Ledger(DedupMode.VERSIONED), rows)


def test_a_reject_is_new_once() -> None:
    ledger = Ledger(DedupMode.VERSIONED)
    malformed: Record[str] | Reject = Reject(b"?", "malformed")
    assert 1 == len(new_records(ledger, [malformed, malformed], requested_s=5000)[0])
    publish(ledger, [malformed], requested_s=5000)
    found, deduplicator = new_records(ledger, [malformed], final_s=1000, requested_s=9000)
    assert (0, 1) == (len(found), deduplicator.duplicate)


def test_a_reject_is_not_new_again_while_the_vendor_keeps_returning_it() -> None:
    ledger, letters = Ledger(DedupMode.VERSIONED), 0
    malformed: Record[str] | Reject = Reject(b"?", "malformed")
    for requested_s in range(0, 1_000_000, 700):  # over eleven days, with an allowed lateness of an hour
        final_s = requested_s - 3600
        for page in ledger.expired(final_s):
            ledger.forget(page)
        found, _ = new_records(ledger, [malformed], final_s=final_s, requested_s=requested_s)
        letters += sum(new.reject is not None for new in found)
        for page_number, chunk in chunks_by_page(entry for new in found for entry in new.entries).items():
            ledger.add(page_number, chunk)
    assert 1 == letters
    assert len(ledger) < 10


def test_a_page_is_kept_until_its_longest_record_has_ended() -> None:
    ledger = Ledger(DedupMode.VERSIONED)
    publish(ledger, [row("short", start_s=10, end_s=20), row("long", start_s=10, end_s=9000)])
    assert [] == ledger.expired(9000)
    assert [0] == [page.number for page in ledger.expired(9001)]


def test_the_number_of_open_entries_is_bounded() -> None:
    ledger = Ledger(DedupMode.MULTISET)
    max_open_entries = ledger_module.MAX_OPEN_ENTRIES
    ledger_module.MAX_OPEN_ENTRIES = 10
    try:
        for page in range(20):
            rows = [row(f"{number}", start_s=page * PAGE_S) for number in range(5)]
            assert 5 == len(publish(ledger, rows))
            assert [] == publish(ledger, rows)
        assert sum(page.known is not None for page in ledger.pages().values()) <= 2
    finally:
        ledger_module.MAX_OPEN_ENTRIES = max_open_entries


def test_an_entry_takes_twenty_bytes() -> None:
    assert 20 == ENTRY.size


_rows = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y"]), st.integers(0, 2)), max_size=12)


@given(responses=st.lists(_rows, max_size=6))
def test_as_many_equal_rows_are_published_as_one_response_had_at_most(
    responses: list[list[tuple[str, str, int]]],
) -> None:
    ledger, published, largest = Ledger(DedupMode.MULTISET), Counter[str](), Counter[str]()
    for response in responses:
        rows = [row(key, content, start_s=slot * PAGE_S) for key, content, slot in response]
        largest |= Counter(record.key.decode() for record in rows)
        found, _ = new_records(ledger, rows)
        published.update(new.records[0].record.key.decode() for new in found for _ in new.records)
        for page, chunk in chunks_by_page(entry for new in found for entry in new.entries).items():
            ledger.add(page, chunk)
    assert largest == published


@given(response=_rows, random=st.randoms(use_true_random=False))
def test_published_records_of_a_multiset_do_not_depend_on_the_order_of_rows(
    response: list[tuple[str, str, int]], random: Random
) -> None:
    rows = [row(key, content, start_s=slot * PAGE_S) for key, content, slot in response]
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert publish(Ledger(DedupMode.MULTISET), rows) == publish(Ledger(DedupMode.MULTISET), shuffled)


@given(response=_rows)
def test_the_last_version_in_a_response_has_the_highest_revision(response: list[tuple[str, str, int]]) -> None:
    rows = [row(key, content) for key, content, _ in response]
    published = publish(Ledger(DedupMode.VERSIONED), rows)
    highest = {payload.partition(":")[0]: payload for payload, _ in published}
    assert highest == {each.payload.partition(":")[0]: each.payload for each in rows}


@given(versions=st.lists(st.sampled_from("xyz"), min_size=1, max_size=10), repeats=st.integers(1, 3))
def test_each_change_is_one_revision_however_often_it_is_returned(versions: list[str], repeats: int) -> None:
    ledger, found = Ledger(DedupMode.VERSIONED), []
    for content in versions:
        for _ in range(repeats):
            found += publish(ledger, [row("a", content)])
    changes = [content for i, content in enumerate(versions) if i == 0 or versions[i - 1] != content]
    assert [(f"a:{content}", number) for number, content in enumerate(changes)] == found


def test_looking_up_a_reject_opens_no_page() -> None:
    """Rejects of many pages may be known: opening all of them for each lookup would take minutes."""
    ledger = Ledger(DedupMode.VERSIONED)
    rejects = [Reject(f"broken {number}".encode(), "malformed") for number in range(50)]
    for nth, reject in enumerate(rejects):
        publish(ledger, [reject], requested_s=5000 + nth * PAGE_S)
    assert 50 == len(ledger.pages())

    found, _ = new_records(ledger, [*rejects, Reject(b"another", "malformed")], requested_s=5000 + 50 * PAGE_S)

    assert [b"another"] == [new.reject.payload for new in found if new.reject is not None]
    assert {None} == {page.known for page in ledger.pages().values()}


def test_a_reject_whose_pages_have_expired_is_new_again() -> None:
    ledger = Ledger(DedupMode.VERSIONED)
    reject = Reject(b"broken", "malformed")
    publish(ledger, [reject], requested_s=5000)
    [page] = ledger.pages().values()
    ledger.forget(page)

    found, _ = new_records(ledger, [reject], requested_s=5000 + PAGE_S)
    assert [reject] == [new.reject for new in found]


def version(number: int) -> Record[str]:
    return structs.replace(row("a", f"{number}"), key=b"8 bytes.")


@pytest.mark.parametrize("mode", DedupMode)
def test_a_key_has_at_most_so_many_versions_in_one_result(mode: DedupMode) -> None:
    versions = [version(n) for n in range(MAX_VERSIONS + 1)]
    ledger = Ledger(mode)
    assert MAX_VERSIONS == len(publish(ledger, versions[1:]))
    assert [] == publish(ledger, versions[1:])
    with pytest.raises(Park) as raised:
        publish(Ledger(mode), versions)
    assert "too_many_versions" == raised.value.code


@pytest.mark.parametrize("mode", DedupMode)
def test_only_the_things_of_a_snapshot_may_change_without_a_limit(mode: DedupMode) -> None:
    ledger = Ledger(mode)
    publish(ledger, [version(n) for n in range(MAX_VERSIONS)])
    found = [version(n) for n in range(MAX_VERSIONS)] if mode is DedupMode.MULTISET else []
    if mode is DedupMode.LATEST:
        assert [("a:-1", MAX_VERSIONS)] == publish(ledger, [version(-1)])
    else:
        with pytest.raises(Park):
            publish(ledger, [*found, version(-1)])


def test_a_page_with_a_million_versions_of_one_key_is_read_in_one_pass() -> None:
    page = Page(0, 1)
    packed = b"".join(ENTRY.pack(b"k" * 8, n.to_bytes(8, "big"), n) for n in range(10**6))
    page.add(Chunk(packed, 0, 1), DedupMode.MULTISET)

    [(number, fingerprints)] = page.open(DedupMode.MULTISET).values()
    assert (10**6 - 1, 10**6) == (number, len(fingerprints))


def test_a_page_has_a_bounded_number_of_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MAX_PAGE_ENTRIES", 3)
    ledger = Ledger(DedupMode.VERSIONED)
    publish(ledger, [row("a"), row("b"), row("c")])
    assert [] == publish(ledger, [row("a"), row("c")])
    with pytest.raises(Park) as raised:
        publish(ledger, [row("d")])
    assert "too_many_records" == raised.value.code
    assert 1 == len(publish(ledger, [row("d", start_s=1000 + PAGE_S)])), "other pages are not affected"


def test_a_snapshot_has_a_bounded_number_of_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MAX_THINGS", 2)
    things = [structs.replace(row("a", f"{n}"), key=n.to_bytes(8, "big")) for n in range(3)]
    ledger = Ledger(DedupMode.LATEST)
    publish(ledger, things[:2])
    with pytest.raises(Park) as raised:
        publish(ledger, things)
    assert "too_many_records" == raised.value.code
    assert 1 == len(publish(ledger, [structs.replace(things[0], fingerprint=b"new"), things[1]]))


@pytest.mark.parametrize("mode", DedupMode)
def test_the_entries_of_open_pages_are_counted_exactly(mode: DedupMode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MAX_OPEN_ENTRIES", 5)
    ledger, random = Ledger(mode), Random(1)
    for _ in range(300):
        number = random.randrange(12)
        key = structs.replace(row("a", f"{random.randrange(3)}"), key=number.to_bytes(8, "big"))
        publish(ledger, [structs.replace(key, vendor_local_s=PAGE_S * number)])
        if random.random() < 0.2 and (pages := list(ledger.pages().values())):
            ledger.forget(random.choice(pages))
        assert sum(map(len, ledger._opened.values())) == ledger._open_entries
