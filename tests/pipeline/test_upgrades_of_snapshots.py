"""LATEST streams after a change of field lists: things are migrated, and one that disappears is gone once."""

import json
from collections.abc import Sequence

import pytest

from collector.errors import UnreadableState
from collector.model import DedupMode
from collector.pipeline import batch as batch_module
from collector.pipeline.ledger import GONE_AFTER
from tests.field_changes import FIELD_CHANGES, FieldChange, FieldLists, field_lists
from tests.pipeline.release import CrashingRelease, ProcessDied, Release
from tests.pipeline.stream_cases import STREAM_CASES, Row

CASE = STREAM_CASES["seemetrix.devices"]
ROWS = CASE.rows
ABSENT, *OTHERS = ROWS
MALFORMED: Row = {"group": "online", "d": "no number"}
Topic = dict[str, bytes]


@pytest.fixture(params=list(FIELD_CHANGES.values()), ids=list(FIELD_CHANGES))
def lists(request: pytest.FixtureRequest) -> FieldLists:
    found: FieldChange = request.param
    return field_lists("seemetrix.devices", DedupMode.LATEST, found)


def next_change(lists: FieldLists) -> FieldLists:
    """Return the field lists of a further release."""
    return FieldLists(DedupMode.LATEST, FieldChange(key=lists.change.key, fingerprint="same"), lambda _: b"", nth=2)


def published_states(release: Release, rows: Sequence[Row], *, is_whole: bool = True) -> list[tuple[int, int, str]]:
    """Process one response and return the device, revision and state of each published event."""
    values = [json.loads(each.value) for each in release.publish(rows, is_whole=is_whole) if b"device" in each.id]
    return [(value["device_id"], value["revision"], value["state"]) for value in values]


def run_first_release(topic: Topic, *responses: Sequence[Row]) -> None:
    """Process responses with the first release, whose state is in the topic then."""
    release = Release(CASE, topic)
    for rows in responses:
        release.publish(rows)


def test_a_thing_that_is_gone_is_not_gone_again_and_its_return_is_a_revision(lists: FieldLists) -> None:
    topic: Topic = {}
    run_first_release(topic, ROWS, *[OTHERS] * GONE_AFTER)
    release = Release(CASE, topic, lists)

    assert [[]] * (GONE_AFTER + 2) == [published_states(release, OTHERS) for _ in range(GONE_AFTER + 2)]
    assert {2: 3} == release.versions()
    assert [(ABSENT["d"], 2, ABSENT["group"])] == published_states(release, ROWS)


@pytest.mark.parametrize("rows", [OTHERS, [*OTHERS, MALFORMED]], ids=["incomplete", "malformed row"])
def test_any_response_migrates_a_thing_that_is_gone(lists: FieldLists, rows: Sequence[Row]) -> None:
    topic: Topic = {}
    run_first_release(topic, ROWS, *[OTHERS] * GONE_AFTER)
    release = Release(CASE, topic, lists)

    assert [] == published_states(release, rows, is_whole=MALFORMED in rows)
    assert {2: 3} == release.versions()
    assert [] == published_states(Release(CASE, topic, lists, next_change(lists)), rows)


def test_a_thing_that_disappears_during_the_upgrade_is_gone_once(lists: FieldLists) -> None:
    topic: Topic = {}
    run_first_release(topic, ROWS)
    release = Release(CASE, topic, lists)

    found = [published_states(release, OTHERS) for _ in range(GONE_AFTER + 3)]

    assert [*[[]] * (GONE_AFTER - 1), [(ABSENT["d"], 1, "gone")], [], [], []] == found
    assert {2: 3} == release.versions()
    assert [(ABSENT["d"], 2, ABSENT["group"])] == published_states(
        Release(CASE, topic, lists, next_change(lists)), ROWS
    )


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_thing_missing_from_few_responses_after_the_upgrade_is_not_gone(lists: FieldLists, is_whole: bool) -> None:
    topic: Topic = {}
    run_first_release(topic, ROWS)
    release = Release(CASE, topic, lists)
    for rows in (*[OTHERS] * (GONE_AFTER - 1), ROWS):
        assert [] == published_states(release, rows, is_whole=is_whole)
    assert {2: 3} == release.versions()


def test_a_thing_that_one_response_shows_twice_is_migrated_with_both_contents(lists: FieldLists) -> None:
    topic: Topic = {}
    twice = [*ROWS, ABSENT | {"group": "online"}]
    run_first_release(topic, twice)
    release = Release(CASE, topic, lists)

    assert [[], []] == [published_states(release, twice) for _ in range(2)]


@pytest.mark.parametrize("rows", [OTHERS, [*OTHERS, MALFORMED]], ids=["incomplete", "malformed row"])
def test_a_thing_missing_from_incomplete_responses_does_not_park_a_later_release(
    lists: FieldLists, rows: Sequence[Row]
) -> None:
    """It is not known whether it is gone. Its return is a revision."""
    topic: Topic = {}
    run_first_release(topic, ROWS)
    release = Release(CASE, topic, lists)
    is_whole = MALFORMED in rows
    assert [[]] * (GONE_AFTER + 1) == [
        published_states(release, rows, is_whole=is_whole) for _ in range(GONE_AFTER + 1)
    ]
    assert {2: 3} == release.versions()

    release = Release(CASE, topic, lists, next_change(lists))
    assert [] == published_states(release, rows, is_whole=is_whole)
    assert [(ABSENT["d"], 1, ABSENT["group"])] == published_states(release, ROWS)
    assert [] == published_states(release, ROWS)


def test_a_migration_that_a_crash_interrupts_is_completed_by_the_next_response(
    lists: FieldLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thing is migrated in one transaction, whichever one the process dies before."""
    monkeypatch.setattr(batch_module, "MAX_TRANSACTION_ENTRIES", 2)
    whole: Topic = {}
    run_first_release(whole, ROWS)
    crashes = 0
    for commits in range(4):
        topic = dict(whole)
        crashing = CrashingRelease(CASE, topic, lists)
        crashing.commits_left = commits
        try:
            crashing.publish(ROWS)
        except ProcessDied:
            crashes += 1
        release = Release(CASE, topic, lists)
        assert [[]] * (GONE_AFTER + 1) == [published_states(release, ROWS) for _ in range(GONE_AFTER + 1)]
        assert {2: 3} == release.versions()
    assert crashes > 1


def test_a_migrated_page_is_deleted_under_its_previous_key() -> None:
    topic: Topic = {}
    run_first_release(topic, ROWS)
    before = set(topic) - {""}
    Release(CASE, topic, field_lists("seemetrix.devices", DedupMode.LATEST, FIELD_CHANGES["longer key"])).publish(ROWS)

    assert len(before) == len(set(topic) - {""})
    assert not before & set(topic)


def test_skipping_a_release_with_changed_field_lists_is_refused(lists: FieldLists) -> None:
    topic: Topic = {}
    run_first_release(topic, ROWS)
    with pytest.raises(UnreadableState) as refused:
        Release(CASE, topic, lists, next_change(lists))
    assert "state_too_old" == refused.value.code
