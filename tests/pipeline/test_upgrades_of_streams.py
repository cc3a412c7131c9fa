"""Every stream after a change of its field lists: nothing is published twice or parked, and revisions continue."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from collector.model import Checkpoint, DedupMode, Record
from collector.pipeline.batch import Batch
from collector.pipeline.ledger import GONE_AFTER, PAGE_S
from tests.field_changes import FIELD_CHANGES, PREVIOUS_FINGERPRINTS, FieldChange, field_lists
from tests.pipeline.release import END, START, Release, ids, revisions
from tests.pipeline.stream_cases import STREAM_CASES, StreamCase


@pytest.fixture(params=list(STREAM_CASES.values()), ids=list(STREAM_CASES))
def case(request: pytest.FixtureRequest) -> StreamCase:
    found: StreamCase = request.param
    return found


@pytest.fixture(params=list(FIELD_CHANGES.values()), ids=list(FIELD_CHANGES))
def change(request: pytest.FixtureRequest) -> FieldChange:
    found: FieldChange = request.param
    return found


def test_previous_keys_and_fingerprints_can_be_computed_from_records(case: StreamCase, change: FieldChange) -> None:
    lists = field_lists(case.name, case.dedup_mode, change)
    for record in case.decode([*case.rows, case.revise(case.rows[0])]):
        assert isinstance(record, Record)
        assert record.fingerprint == PREVIOUS_FINGERPRINTS[case.name](record)
        assert record != lists.upgraded(record)
        assert record == lists.former(lists.upgraded(record))


def test_records_published_before_the_upgrade_are_not_published_again(case: StreamCase, change: FieldChange) -> None:
    topic: dict[str, bytes] = {}
    assert Release(case, topic).publish(case.rows)

    release = Release(case, topic, field_lists(case.name, case.dedup_mode, change))
    for _ in range(GONE_AFTER + 1):
        assert [] == release.publish(case.rows)

    assert [] == Release(case, topic, field_lists(case.name, case.dedup_mode, change)).publish(case.rows)


def test_records_on_an_old_page_have_the_ids_that_they_would_have_without_the_upgrade(
    case: StreamCase, change: FieldChange
) -> None:
    """With a revision, a late record and twins, and when all of them are returned again."""
    first, *others = case.rows
    late = [] if case.dedup_mode is DedupMode.LATEST else [case.same_page(first)]
    responses = [[case.revise(first), *others, *late], [first, *others], [first, first, *others, *late]]
    before: dict[str, bytes] = {}
    old = Release(case, before)
    old.publish(case.rows)
    after = dict(before)

    for rows in responses[: 1 if case.dedup_mode is DedupMode.LATEST else None]:
        new = Release(case, after, field_lists(case.name, case.dedup_mode, change))
        expected = old.publish(rows)
        published = new.publish(rows)

        assert ids(expected) == ids(published)
        assert revisions(expected) == revisions(published)
        assert [] == new.publish(rows)


def test_revisions_continue_under_the_same_record_id(case: StreamCase, change: FieldChange) -> None:
    first, *others = case.rows
    topic: dict[str, bytes] = {}
    before = revisions(Release(case, topic).publish(case.rows))
    release = Release(case, topic, field_lists(case.name, case.dedup_mode, change))

    published = [release.publish([row, *others]) for row in (case.revise(first), first, case.revise(first))]

    if case.dedup_mode is DedupMode.MULTISET:
        assert [[], [], []] == published
        return
    by_response = [revisions(messages) for messages in published]
    [name] = by_response[0]
    assert [0, 1, 2, 3] == [before[name], *(each[name] for each in by_response)]
    assert all(each.keys() == {name} for each in by_response)


def test_numbering_of_twins_continues(change: FieldChange) -> None:
    """Even if the longer key distinguishes them: on an old page they stay equal."""
    for name in ("quividi.viewers", "quividi.viewers_apc"):
        case, topic = STREAM_CASES[name], dict[str, bytes]()
        first, *others = case.rows
        other = first | {"glasses": 2 if first["glasses"] != 2 else 3}
        before = Release(case, topic).publish([first, other, *others])
        release = Release(case, topic, field_lists(case.name, case.dedup_mode, change))

        assert [] == release.publish([other, first, *others])
        [viewer, *_] = release.publish([first, other, first, *others])

        assert 2 == json.loads(viewer.value)["occurrence"]
        assert viewer.id.decode() not in ids(before)
        assert [] == release.publish([first, other, *others, first])


SEVERAL_KEYS = [pytest.param(each, id=name) for name, each in STREAM_CASES.items() if not each.is_single]


@pytest.mark.parametrize("case", SEVERAL_KEYS)
def test_a_new_page_has_the_new_version_and_its_records_are_published_once(
    case: StreamCase, change: FieldChange
) -> None:
    topic: dict[str, bytes] = {}
    Release(case, topic).publish(case.rows)
    release = Release(case, topic, field_lists(case.name, case.dedup_mode, change))
    old = set(release.state.ledger.pages())
    rows = [*case.rows, case.new_page(case.rows[0])]

    published = release.publish(rows)

    new = {number: page for number, page in release.state.ledger.pages().items() if number not in old}
    assert published
    assert {2} == {page.version for page in new.values()}
    assert [] == release.publish(rows)
    assert [] == Release(case, topic, field_lists(case.name, case.dedup_mode, change)).publish(rows)
    assert 1 == max(ids(published).values())


def test_no_page_of_the_previous_version_is_left_once_final_has_passed(case: StreamCase, change: FieldChange) -> None:
    topic: dict[str, bytes] = {}
    Release(case, topic).publish(case.rows)
    release = Release(case, topic, field_lists(case.name, case.dedup_mode, change))
    late = [] if case.dedup_mode is DedupMode.LATEST else [case.same_page(case.rows[0])]
    release.publish([*case.rows, *late])
    if case.dedup_mode is DedupMode.LATEST:
        assert {2} == release.versions().keys(), "the first response that shows a thing migrates it"
    else:
        assert {1} == release.versions().keys(), "a page keeps the version with which it was started"
        last_s = max(page.last_s for page in release.state.ledger.pages().values())
        final = datetime.fromtimestamp(last_s + 1, UTC) + case.max_clock_offset
        release.commit(Batch(checkpoint=Checkpoint(START, END, final, timedelta(hours=6), START)))
        assert {""} == topic.keys()

    assert [] == Release(case, topic, field_lists(case.name, case.dedup_mode, change)).publish(case.rows)


def test_the_changed_rows_of_each_case_are_on_the_pages_that_they_claim(case: StreamCase) -> None:
    """The tests above depend on it."""
    [first], [same], [new] = (
        list(case.decode([row]))[:1]
        for row in (case.rows[0], case.same_page(case.rows[0]), case.new_page(case.rows[0]))
    )
    assert isinstance(first, Record)
    assert isinstance(same, Record)
    assert isinstance(new, Record)
    if case.dedup_mode is not DedupMode.LATEST:
        assert first.vendor_local_s // PAGE_S == same.vendor_local_s // PAGE_S != new.vendor_local_s // PAGE_S
