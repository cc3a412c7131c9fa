"""Every stream, when its lists of fields change: nothing is published twice, nothing is parked, revisions go on."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from collector.model import Checkpoint, DedupMode, Record
from collector.pipeline.batch import Batch
from collector.pipeline.ledger import GONE_AFTER, PAGE_S
from tests.changed import BEFORE, CHANGES, Change, _aggregate, lists_of
from tests.pipeline.kinds import KINDS, Kind
from tests.pipeline.release import BEGIN, END, Release, ids, revisions


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(params=list(CHANGES.values()), ids=list(CHANGES))
def change(request: pytest.FixtureRequest) -> Change:
    found: Change = request.param
    return found


def test_the_former_lists_can_be_computed_of_what_a_record_holds(kind: Kind, change: Change) -> None:
    lists = lists_of(kind.name, kind.dedup_mode, change)
    for record in kind.read([*kind.rows, kind.revised(kind.rows[0])]):
        assert isinstance(record, Record)
        assert record.fingerprint == BEFORE.get(kind.name, _aggregate)(record)
        assert record != lists.present(record)
        assert record == lists.former(lists.present(record))


def test_nothing_that_was_published_is_published_again(kind: Kind, change: Change) -> None:
    topic: dict[str, bytes] = {}
    assert Release(kind, topic).take(kind.rows)

    release = Release(kind, topic, lists_of(kind.name, kind.dedup_mode, change))
    for _ in range(GONE_AFTER + 1):
        assert [] == release.take(kind.rows)

    assert [] == Release(kind, topic, lists_of(kind.name, kind.dedup_mode, change)).take(kind.rows)


def test_what_belongs_to_an_old_page_has_the_ids_that_it_would_have_without_the_upgrade(
    kind: Kind, change: Change
) -> None:
    """Revised, late, twins, and all of it once more."""
    first, *others = kind.rows
    late = [] if kind.dedup_mode is DedupMode.LATEST else [kind.late(first)]
    answers = [[kind.revised(first), *others, *late], [first, *others], [first, first, *others, *late]]
    before: dict[str, bytes] = {}
    old = Release(kind, before)
    old.take(kind.rows)
    after = dict(before)

    for rows in answers[: 1 if kind.dedup_mode is DedupMode.LATEST else None]:
        new = Release(kind, after, lists_of(kind.name, kind.dedup_mode, change))
        expected = old.take(rows)
        published = new.take(rows)

        assert ids(expected) == ids(published)
        assert revisions(expected) == revisions(published)
        assert [] == new.take(rows)


def test_revisions_count_on_under_the_same_record(kind: Kind, change: Change) -> None:
    first, *others = kind.rows
    topic: dict[str, bytes] = {}
    before = revisions(Release(kind, topic).take(kind.rows))
    release = Release(kind, topic, lists_of(kind.name, kind.dedup_mode, change))

    published = [release.take([row, *others]) for row in (kind.revised(first), first, kind.revised(first))]

    if kind.dedup_mode is DedupMode.MULTISET:
        assert [[], [], []] == published
        return
    counted = [revisions(messages) for messages in published]
    [name] = counted[0]
    assert [0, 1, 2, 3] == [before[name], *(each[name] for each in counted)]
    assert all(each.keys() == {name} for each in counted)


def test_twins_are_counted_on(change: Change) -> None:
    """Also where the longer key would tell them apart: on an old page they are equal, as before."""
    for name in ("viewers", "viewers_apc"):
        kind, topic = KINDS[name], dict[str, bytes]()
        first, *others = kind.rows
        other = first | {"glasses": 2 if first["glasses"] != 2 else 3}
        before = Release(kind, topic).take([first, other, *others])
        release = Release(kind, topic, lists_of(kind.name, kind.dedup_mode, change))

        assert [] == release.take([other, first, *others])
        [viewer, *_] = release.take([first, other, first, *others])

        assert 2 == json.loads(viewer.value)["occurrence"]
        assert viewer.id.decode() not in ids(before)
        assert [] == release.take([first, other, *others, first])


MANY = [pytest.param(each, id=name) for name, each in KINDS.items() if not each.only]


@pytest.mark.parametrize("kind", MANY)
def test_what_is_on_a_new_page_is_of_the_new_version_and_comes_once(kind: Kind, change: Change) -> None:
    topic: dict[str, bytes] = {}
    Release(kind, topic).take(kind.rows)
    release = Release(kind, topic, lists_of(kind.name, kind.dedup_mode, change))
    old = set(release.state.ledger.pages())
    rows = [*kind.rows, kind.later(kind.rows[0])]

    published = release.take(rows)

    new = {number: page for number, page in release.state.ledger.pages().items() if number not in old}
    assert published
    assert {2} == {page.version for page in new.values()}
    assert [] == release.take(rows)
    assert [] == Release(kind, topic, lists_of(kind.name, kind.dedup_mode, change)).take(rows)
    assert 1 == max(ids(published).values())


def test_nothing_of_the_version_before_is_left_once_its_pages_have_passed(kind: Kind, change: Change) -> None:
    topic: dict[str, bytes] = {}
    Release(kind, topic).take(kind.rows)
    release = Release(kind, topic, lists_of(kind.name, kind.dedup_mode, change))
    late = [] if kind.dedup_mode is DedupMode.LATEST else [kind.late(kind.rows[0])]
    release.take([*kind.rows, *late])
    if kind.dedup_mode is DedupMode.LATEST:
        assert {2} == release.versions().keys(), "the first answer that shows a thing carries it over"
    else:
        assert {1} == release.versions().keys(), "a page keeps the version with which it was begun"
        last_s = max(page.last_s for page in release.state.ledger.pages().values())
        final = datetime.fromtimestamp(last_s + 1, UTC) + kind.max_clock_offset
        release.commit(Batch(checkpoint=Checkpoint(BEGIN, END, final, timedelta(hours=6), BEGIN)))
        assert {""} == topic.keys()

    assert [] == Release(kind, topic, lists_of(kind.name, kind.dedup_mode, change)).take(kind.rows)


def test_a_page_has_ten_minutes_or_one_thing(kind: Kind) -> None:
    """What the cases above rest on: the late one is on an old page, the later one on a new page."""
    [first], [late], [later] = (
        list(kind.read([row]))[:1] for row in (kind.rows[0], kind.late(kind.rows[0]), kind.later(kind.rows[0]))
    )
    assert isinstance(first, Record)
    assert isinstance(late, Record)
    assert isinstance(later, Record)
    if kind.dedup_mode is not DedupMode.LATEST:
        assert first.vendor_local_s // PAGE_S == late.vendor_local_s // PAGE_S != later.vendor_local_s // PAGE_S
