"""Any history, with an upgrade at any point: each record is published once, on old pages under its old ids."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from collector.model import Account, Checkpoint, DedupMode, Record, Reject
from collector.pipeline.batch import Batch
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import PAGE_S, NewRecords
from collector.pipeline.message import record_digest
from collector.pipeline.state import State, StateFormat, load
from tests.rows import without_steps

ACCOUNT = Account("test", "632")
START = datetime(1970, 1, 1, tzinfo=UTC)
FAR_FUTURE_S = 1 << 37


class Row(Struct, frozen=True):
    """A vendor's row. Whether `hat` and `coat` are in the field lists depends on the release."""

    name: str
    page: int
    content: str
    hat: str
    coat: str


def old_record(row: Row) -> Record[Row]:
    """Decode a row as the first release does: the fingerprint includes the coat, no list includes the hat."""
    start_s = row.page * PAGE_S
    key, fingerprint = f"{row.name}@{start_s}", f"{row.content}, {row.coat}"
    return Record(key.encode(), fingerprint.encode(), start_s * 1000, (start_s + 9) * 1000, start_s, row)


def new_record(row: Row) -> Record[Row]:
    """Decode a row as the second release does: the key includes the hat, no list includes the coat."""
    record = old_record(row)
    return structs.replace(record, key=record.key + row.hat.encode(), fingerprint=row.content.encode())


def former(record: Record[Row]) -> Record[Row]:
    """Return a record of the second release as the first one decodes it."""
    return structs.replace(
        record,
        key=record.key[: -len(record.payload.hat)],
        fingerprint=f"{record.payload.content}, {record.payload.coat}".encode(),
    )


class Stream:
    """A stream of the first release that may be upgraded to the second one, and what it published."""

    def __init__(self, dedup_mode: DedupMode) -> None:
        self.dedup_mode = dedup_mode
        self.topic: dict[str, bytes] = {}
        self.published: list[tuple[str, Row]] = []
        self.start(upgraded=False)

    def start(self, *, upgraded: bool) -> None:
        """Start a process of the first or the second release on the state in the topic."""
        self._decode = new_record if upgraded else old_record
        state_format = StateFormat(self.dedup_mode, 2 if upgraded else 1, timedelta(0), former if upgraded else None)
        self.state = load("p", state_format, self.topic)

    def publish(self, rows: Sequence[Row]) -> list[Row]:
        """Publish the new records of a response, one transaction per key, and return their rows."""
        deduplicator: Deduplicator[Row] = Deduplicator(
            self.state.ledger, since_ms=0, until_ms=None, final_s=0, requested_s=0
        )
        deduplicator.add(map(self._decode, rows))
        found = [each for new_records in without_steps(deduplicator.take_new()) for each in self._commit(new_records)]
        self.published += found
        return [row for _, row in found]

    def _commit(self, new_records: NewRecords[Row]) -> list[tuple[str, Row]]:
        self.write(Batch(entries=new_records.entries))
        return [
            (record_digest(self.dedup_mode, new.record, new.number, ACCOUNT), new.record.payload)
            for new in new_records.records
        ]

    def write(self, batch: Batch) -> None:
        for key, value in self.state.pairs(batch).items():
            rest = key.decode().removeprefix("p").removeprefix("/")
            if value is None:
                del self.topic[rest]
            else:
                self.topic[rest] = value
        self.state.apply(batch)

    def ids(self, pages: set[int]) -> Counter[str]:
        """Count the published ids of the records on some pages."""
        return Counter(each for each, row in self.published if row.page in pages)


_row = st.builds(
    Row, st.sampled_from("ab"), st.integers(0, 2), st.sampled_from("xy"), st.sampled_from("mn"), st.sampled_from("uv")
)
_history = st.lists(st.lists(_row, max_size=6), max_size=8)
_dedup_mode = st.sampled_from([DedupMode.MULTISET, DedupMode.VERSIONED])


@given(history=_history, cut=st.integers(0, 8), again=st.integers(0, 8), dedup_mode=_dedup_mode)
def test_old_pages_continue_as_without_the_upgrade_and_new_pages_are_as_with_the_new_release_alone(
    history: list[list[Row]], cut: int, again: int, dedup_mode: DedupMode
) -> None:
    """`cut` is the response before which the upgrade happens, `again` the one before which the process restarts."""
    upgraded, never, always = Stream(dedup_mode), Stream(dedup_mode), Stream(dedup_mode)
    always.start(upgraded=True)
    old: set[int] = set()
    for nth, response in enumerate(history):
        if nth == cut:
            old = set(upgraded.state.ledger.pages())
        if nth == cut or (nth == again > cut):
            upgraded.start(upgraded=True)
        for stream in (upgraded, never, always):
            stream.publish(response)
            assert [] == stream.publish(response)
    if cut >= len(history):
        old = set(upgraded.state.ledger.pages())

    new = {0, 1, 2} - old
    assert never.ids(old) == upgraded.ids(old)
    assert always.ids(new) == upgraded.ids(new)
    assert 1 == max([1, *upgraded.ids(old | new).values()])
    if cut < len(history):
        versions = {number: page.version for number, page in upgraded.state.ledger.pages().items()}
        assert {number: 1 if number in old else 2 for number in versions} == versions


@given(history=_history, cut=st.integers(0, 8), dedup_mode=_dedup_mode)
def test_a_page_that_final_passes_while_a_response_is_published_may_start_again(
    history: list[list[Row]], cut: int, dedup_mode: DedupMode
) -> None:
    """A late record that ends after `final` may belong to a page whose other records all end before it."""
    stream = Stream(dedup_mode)
    for response in history[:cut]:
        stream.publish(response)
    stream.start(upgraded=True)
    for response in history[cut:]:
        deduplicator: Deduplicator[Row] = Deduplicator(
            stream.state.ledger, since_ms=0, until_ms=None, final_s=0, requested_s=0
        )
        deduplicator.add(map(new_record, response))
        for page in list(stream.state.ledger.pages().values()):  # `final` has passed them
            page.last_s = -1
        checkpoint = Checkpoint(START, START, START, timedelta(hours=1), START)
        stream.write(Batch(checkpoint=checkpoint))
        assert not stream.state.ledger.pages()
        for new_records in without_steps(deduplicator.take_new()):
            stream.write(Batch(entries=new_records.entries))
        assert [] == stream.publish(response)
        stream.start(upgraded=True)
        assert [] == stream.publish(response)


def test_a_reject_is_one_dead_letter_across_upgrades() -> None:
    stream = Stream(DedupMode.VERSIONED)
    letters = []
    for upgraded in (False, True, True):
        stream.start(upgraded=upgraded)
        deduplicator: Deduplicator[Row] = Deduplicator(
            stream.state.ledger, since_ms=0, until_ms=None, final_s=0, requested_s=FAR_FUTURE_S
        )
        deduplicator.add([Reject(b"?", "malformed")])
        for new_records in without_steps(deduplicator.take_new()):
            stream.write(Batch(entries=new_records.entries))
            letters.append(new_records.reject)
    assert 1 == len(letters)
    assert not stream.state.ledger.has_former
    state: State = load("p", StateFormat(DedupMode.VERSIONED, 9, timedelta(0)), stream.topic)
    assert 1 == len(state.ledger)
