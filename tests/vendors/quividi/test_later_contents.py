"""Contents that the vendor reports later than their viewer are published later, once each, with their own position."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from collector.model import Account, DedupMode, Record, Window
from collector.pipeline.batch import Context, batches
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import Ledger
from collector.pipeline.message import Origin
from collector.pipeline.page import chunks_by_page
from collector.vendors.quividi import contents as contents_module
from collector.vendors.quividi.contents import FIELDS_VERSION, ViewerWithContents
from collector.vendors.quividi.events import explode_viewer_apc
from collector.vendors.quividi.rows import finest_rows
from tests.rows import without_steps
from tests.vendors.quividi.example import PARIS
from tests.vendors.quividi.test_contents import viewer

DAY = Window(datetime(2018, 1, 14, tzinfo=UTC), datetime(2018, 1, 15, tzinfo=UTC))
CONTEXT = Context(
    DedupMode.MULTISET, Origin(Account("quividi", "acme"), "mall", "viewers_apc"), DAY, DAY.end, DAY.start, is_live=True
)


CALENDAR = datetime.min, datetime.max  # noqa: DTZ901 - local times


def row(*contents: str, gender: int = 2) -> bytes:
    return viewer(
        gender=gender, contents=[{"content_id": name, "dwell_time": 928, "attention_time": 192} for name in contents]
    )


class CommittingStream:
    """A stream of viewers with contents that commits every response."""

    def __init__(self, selection: str = "") -> None:
        self._rows = finest_rows("viewers_apc", PARIS, selection)
        self._ledger = Ledger(DedupMode.MULTISET, FIELDS_VERSION, self._rows.former)
        self.outcomes = Counter[str]()

    def restore_version_1(self, *rows: bytes) -> None:
        """Load the pages that the previous release left after these rows."""
        old: Ledger = Ledger(DedupMode.MULTISET, FIELDS_VERSION - 1)
        deduplicator: Deduplicator[ViewerWithContents] = Deduplicator.without_limits(old, requested_s=0)
        for record in self._rows.read(rows, *CALENDAR):
            assert isinstance(record, Record)
            deduplicator.add([structs.replace(contents_module.former(record), parts=())])
        for page, chunk in chunks_by_page(
            entry for new in without_steps(deduplicator.take_new()) for entry in new.entries
        ).items():
            self._ledger.add(page, chunk)

    def publish(self, *rows: bytes) -> list[dict[str, Any]]:
        """The published values of the events of one response."""
        deduplicator: Deduplicator[ViewerWithContents] = Deduplicator.without_limits(self._ledger, requested_s=0)
        deduplicator.add(self._rows.read(rows, *CALENDAR))
        found: list[dict[str, Any]] = []
        explode = partial(explode_viewer_apc, user="acme")
        for batch in without_steps(batches(deduplicator, explode, CONTEXT, self._rows.only_parts)):
            found += [msgspec.json.decode(message.value) for message in batch.messages]
            self.outcomes.update(batch.tally.records)
            for page, chunk in chunks_by_page(batch.entries).items():
                self._ledger.add(page, chunk)
        return found


def contents(events: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    """The content and the position of each content's event."""
    return [(each["content_id"], each["position"]) for each in events if "content_id" in each]


def test_a_content_that_comes_later_is_published_once_and_belongs_to_its_viewer() -> None:
    stream = CommittingStream()
    first = stream.publish(row("a"))
    later = stream.publish(row("a", "b"))

    assert [("a", 0)] == contents(first)
    assert [("b", 1)] == contents(later)
    assert 1 == len(later), "the viewer is not published again"
    assert first[0]["event_id"] == later[0]["viewer_event_id"]
    assert [] == stream.publish(row("a", "b"))
    assert {"fresh": 1, "revision": 1, "duplicate": 1} == +stream.outcomes


def test_a_later_content_that_is_listed_first_has_the_next_position() -> None:
    stream = CommittingStream()
    ids = {each["event_id"] for each in stream.publish(row("a"))}
    later = stream.publish(row("b", "a"))

    assert [("b", 1)] == contents(later)
    assert later[0]["event_id"] not in ids
    assert [] == stream.publish(row("a", "b"))


def test_a_viewer_without_contents_may_get_some_and_equal_contents_are_counted() -> None:
    stream = CommittingStream()
    assert 1 == len(stream.publish(row()))
    assert [("a", 0), ("a", 1)] == contents(stream.publish(row("a", "a")))
    assert [("a", 2)] == contents(stream.publish(row("a", "a", "a")))
    assert [] == stream.publish(row("a"))


def test_contents_of_equal_viewers_are_not_mixed_up() -> None:
    stream = CommittingStream()
    first = stream.publish(row("a"), row("b"))
    viewers = {each["viewer_event_id"]: each["content_id"] for each in first if "content_id" in each}
    [later] = stream.publish(row("b", "c"), row("a"))

    assert ("c", "b") == (later["content_id"], viewers[later["viewer_event_id"]])
    assert [] == stream.publish(row("a"), row("c", "b"))


def test_the_contents_that_the_source_selects_are_part_of_the_identity() -> None:
    every, some = CommittingStream().publish(row("a")), CommittingStream("/content_ids=0a").publish(row("a"))

    assert {each["event_id"] for each in every}.isdisjoint(each["event_id"] for each in some)
    assert every[0]["record_id"] + "/content_ids=0a" == some[0]["record_id"]


def test_viewers_of_a_previous_release_are_not_published_again_and_get_no_later_contents() -> None:
    """Their pages do not tell which contents were published. A further equal viewer is the next occurrence."""
    stream = CommittingStream("/content_ids=0a")
    stream.restore_version_1(row("a"))

    assert [] == stream.publish(row("a"))
    assert [] == stream.publish(row("a", "b"))
    further = stream.publish(row("a", "b"), row("c"))
    assert [1] == [each["occurrence"] for each in further if "occurrence" in each]
    assert [] == stream.publish(row("c"), row("a", "b"))


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.lists(st.sampled_from("abc"), max_size=4), st.randoms(use_true_random=False)),
        max_size=12,
    )
)
def test_every_content_of_growing_viewers_is_published_exactly_once(steps: list[tuple[int, list[str], Any]]) -> None:
    """Viewers 0 and 1 are equal but for their contents, viewer 2 is another one."""
    stream, shown = CommittingStream(), defaultdict[int, list[str]](list)
    events: list[dict[str, Any]] = []
    for number, more, random in steps:
        shown[number] += more
        rows = [row(*random.sample(names, len(names)), gender=2 - (which == 2)) for which, names in shown.items()]
        events += stream.publish(*random.sample(rows, len(rows)))
    found = Counter(each["content_id"] for each in events if "content_id" in each)

    assert len(events) == len({each["event_id"] for each in events})
    assert Counter(name for names in shown.values() for name in names) == found
    assert len(shown) == sum("content_count" in each for each in events)
