"""Any history, cut anywhere by an upgrade: each record is published once, on old pages with the ids that it had."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from collector.model import Checkpoint, DedupMode, Record, Reject
from collector.pipeline.batch import Batch
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import PAGE_S, NewRecords
from collector.pipeline.message import record_digest
from collector.pipeline.state import Shape, State, load

BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = 1 << 40


class Row(Struct, frozen=True):
    """What a vendor says of something. Which lists hold `hat` and `coat` depends on the release."""

    name: str
    page: int
    says: str
    hat: str
    coat: str


def before(row: Row) -> Record[Row]:
    """In the first release: hats are not looked at, coats are a part of what is known."""
    start_s = row.page * PAGE_S
    key, fingerprint = f"{row.name}@{start_s}", f"{row.says}, {row.coat}"
    return Record(key.encode(), fingerprint.encode(), start_s * 1000, (start_s + 9) * 1000, start_s, row)


def after(row: Row) -> Record[Row]:
    """In the second: who wears another hat is somebody else, and coats are not looked at."""
    record = before(row)
    return structs.replace(record, key=record.key + row.hat.encode(), fingerprint=row.says.encode())


def former(record: Record[Row]) -> Record[Row]:
    return structs.replace(
        record,
        key=record.key[: -len(record.payload.hat)],
        fingerprint=f"{record.payload.says}, {record.payload.coat}".encode(),
    )


class Stream:
    """What two releases make of one history."""

    def __init__(self, dedup_mode: DedupMode) -> None:
        self.dedup_mode = dedup_mode
        self.topic: dict[str, bytes] = {}
        self.published: list[tuple[str, Row]] = []
        self.start(upgraded=False)

    def start(self, *, upgraded: bool) -> None:
        """A process, of the first release or of the second."""
        self._read = after if upgraded else before
        shape = Shape(self.dedup_mode, 2 if upgraded else 1, timedelta(0), former if upgraded else None)
        self.state = load("p", shape, self.topic)

    def take(self, rows: Sequence[Row]) -> list[Row]:
        """What is published of an answer, each key in a transaction of its own."""
        deduplicator: Deduplicator[Row] = Deduplicator(
            self.state.ledger, since_ms=0, until_ms=None, final_s=0, requested_s=0
        )
        deduplicator.add(map(self._read, rows))
        found = [each for new_records in deduplicator.new() for each in self._commit(new_records)]
        self.published += found
        return [row for _, row in found]

    def _commit(self, new_records: NewRecords[Row]) -> list[tuple[str, Row]]:
        self.write(Batch(entries=new_records.entries))
        return [
            (record_digest(self.dedup_mode, new.record, new.number), new.record.payload) for new in new_records.records
        ]

    def write(self, batch: Batch) -> None:
        for key, value in self.state.pairs(batch).items():
            place = key.decode().removeprefix("p").removeprefix("/")
            if value is None:
                del self.topic[place]
            else:
                self.topic[place] = value
        self.state.apply(batch)

    def ids(self, pages: set[int]) -> Counter[str]:
        return Counter(each for each, row in self.published if row.page in pages)


_row = st.builds(
    Row, st.sampled_from("ab"), st.integers(0, 2), st.sampled_from("xy"), st.sampled_from("mn"), st.sampled_from("uv")
)
_history = st.lists(st.lists(_row, max_size=6), max_size=8)
_dedup_mode = st.sampled_from([DedupMode.MULTISET, DedupMode.VERSIONED])


@given(history=_history, cut=st.integers(0, 8), again=st.integers(0, 8), dedup_mode=_dedup_mode)
def test_old_pages_go_on_as_without_the_upgrade_and_new_ones_as_if_it_had_always_been(
    history: list[list[Row]], cut: int, again: int, dedup_mode: DedupMode
) -> None:
    """`again`: where the upgraded process starts anew."""
    upgraded, never, always = Stream(dedup_mode), Stream(dedup_mode), Stream(dedup_mode)
    always.start(upgraded=True)
    old: set[int] = set()
    for nth, answer in enumerate(history):
        if nth == cut:
            old = set(upgraded.state.ledger.pages())
        if nth == cut or (nth == again > cut):
            upgraded.start(upgraded=True)
        for stream in (upgraded, never, always):
            stream.take(answer)
            assert [] == stream.take(answer)
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
def test_a_page_that_passes_while_an_answer_is_published_may_begin_again(
    history: list[list[Row]], cut: int, dedup_mode: DedupMode
) -> None:
    """A late record that ends after `final` may be of a page of which all else has passed."""
    stream = Stream(dedup_mode)
    for answer in history[:cut]:
        stream.take(answer)
    stream.start(upgraded=True)
    for answer in history[cut:]:
        deduplicator: Deduplicator[Row] = Deduplicator(
            stream.state.ledger, since_ms=0, until_ms=None, final_s=0, requested_s=0
        )
        deduplicator.add(map(after, answer))
        for page in list(stream.state.ledger.pages().values()):  # `final` has passed them
            page.last_s = -1
        checkpoint = Checkpoint(BEGIN, BEGIN, BEGIN, timedelta(hours=1), BEGIN)
        stream.write(Batch(checkpoint=checkpoint))
        assert not stream.state.ledger.pages()
        for new_records in deduplicator.new():
            stream.write(Batch(entries=new_records.entries))
        assert [] == stream.take(answer)
        stream.start(upgraded=True)
        assert [] == stream.take(answer)


def test_rows_that_could_not_be_understood_are_dead_letters_once_whatever_the_version() -> None:
    stream = Stream(DedupMode.VERSIONED)
    letters = []
    for upgraded in (False, True, True):
        stream.start(upgraded=upgraded)
        deduplicator: Deduplicator[Row] = Deduplicator(
            stream.state.ledger, since_ms=0, until_ms=None, final_s=0, requested_s=NEVER
        )
        deduplicator.add([Reject(b"?", "it is no row")])
        for new_records in deduplicator.new():
            stream.write(Batch(entries=new_records.entries))
            letters.append(new_records.reject)
    assert 1 == len(letters)
    assert not stream.state.ledger.has_former
    state: State = load("p", Shape(DedupMode.VERSIONED, 9, timedelta(0)), stream.topic)
    assert 1 == len(state.ledger)
