"""LATEST things, when their lists of fields change: carried over, and gone once."""

import json
from collections.abc import Sequence

import pytest

from collector.errors import UnreadableState
from collector.model import DedupMode
from collector.pipeline import batch as batch_module
from collector.pipeline.ledger import GONE_AFTER
from tests.changed import CHANGES, Change, Lists, lists_of
from tests.pipeline.kinds import KINDS, Row
from tests.pipeline.release import Dying, ProcessDied, Release

KIND = KINDS["devices"]
ROWS = KIND.rows
AWAY, *OTHERS = ROWS
BROKEN: Row = {"group": "online", "d": "no number"}
Topic = dict[str, bytes]


@pytest.fixture(params=list(CHANGES.values()), ids=list(CHANGES))
def lists(request: pytest.FixtureRequest) -> Lists:
    found: Change = request.param
    return lists_of("devices", DedupMode.LATEST, found)


def following(lists: Lists) -> Lists:
    """The change after that one."""
    return Lists(DedupMode.LATEST, Change(key=lists.change.key, fingerprint="same"), lambda _: b"", nth=2)


def states(release: Release, rows: Sequence[Row], *, is_whole: bool = True) -> list[tuple[int, int, str]]:
    """What is published: device, revision, state."""
    values = [json.loads(each.value) for each in release.take(rows, is_whole=is_whole) if b"device" in each.id]
    return [(value["device_id"], value["revision"], value["state"]) for value in values]


def published(topic: Topic, *answers: Sequence[Row]) -> None:
    """What the first release did."""
    release = Release(KIND, topic)
    for rows in answers:
        release.take(rows)


def test_what_was_gone_is_not_gone_again_and_its_return_is_a_revision(lists: Lists) -> None:
    topic: Topic = {}
    published(topic, ROWS, *[OTHERS] * GONE_AFTER)
    release = Release(KIND, topic, lists)

    assert [[]] * (GONE_AFTER + 2) == [states(release, OTHERS) for _ in range(GONE_AFTER + 2)]
    assert {2: 3} == release.versions()
    assert [(AWAY["d"], 2, AWAY["group"])] == states(release, ROWS)


@pytest.mark.parametrize("rows", [OTHERS, [*OTHERS, BROKEN]], ids=["not whole", "a broken row"])
def test_what_was_gone_is_carried_over_by_any_answer(lists: Lists, rows: Sequence[Row]) -> None:
    topic: Topic = {}
    published(topic, ROWS, *[OTHERS] * GONE_AFTER)
    release = Release(KIND, topic, lists)

    assert [] == states(release, rows, is_whole=BROKEN in rows)
    assert {2: 3} == release.versions()
    assert [] == states(Release(KIND, topic, lists, following(lists)), rows)


def test_what_disappears_with_the_upgrade_is_gone_once(lists: Lists) -> None:
    topic: Topic = {}
    published(topic, ROWS)
    release = Release(KIND, topic, lists)

    found = [states(release, OTHERS) for _ in range(GONE_AFTER + 3)]

    assert [*[[]] * (GONE_AFTER - 1), [(AWAY["d"], 1, "gone")], [], [], []] == found
    assert {2: 3} == release.versions()
    assert [(AWAY["d"], 2, AWAY["group"])] == states(Release(KIND, topic, lists, following(lists)), ROWS)


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_few_answers_lack_after_the_upgrade_is_a_glitch(lists: Lists, is_whole: bool) -> None:
    topic: Topic = {}
    published(topic, ROWS)
    release = Release(KIND, topic, lists)
    for rows in (*[OTHERS] * (GONE_AFTER - 1), ROWS):
        assert [] == states(release, rows, is_whole=is_whole)
    assert {2: 3} == release.versions()


def test_what_one_answer_shows_in_two_ways_is_carried_over_in_both(lists: Lists) -> None:
    topic: Topic = {}
    twice = [*ROWS, AWAY | {"group": "online"}]
    published(topic, twice)
    release = Release(KIND, topic, lists)

    assert [[], []] == [states(release, twice) for _ in range(2)]


@pytest.mark.parametrize("rows", [OTHERS, [*OTHERS, BROKEN]], ids=["not whole", "a broken row"])
def test_what_answers_lack_that_are_never_whole_does_not_park_a_later_release(
    lists: Lists, rows: Sequence[Row]
) -> None:
    """It is not known to be gone; when it comes back, that is a revision."""
    topic: Topic = {}
    published(topic, ROWS)
    release = Release(KIND, topic, lists)
    is_whole = BROKEN in rows
    assert [[]] * (GONE_AFTER + 1) == [states(release, rows, is_whole=is_whole) for _ in range(GONE_AFTER + 1)]
    assert {2: 3} == release.versions()

    release = Release(KIND, topic, lists, following(lists))
    assert [] == states(release, rows, is_whole=is_whole)
    assert [(AWAY["d"], 1, AWAY["group"])] == states(release, ROWS)
    assert [] == states(release, ROWS)


def test_what_is_not_carried_over_yet_is_carried_by_the_next_answer(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the process died between: each thing's transaction is whole."""
    monkeypatch.setattr(batch_module, "MAX_TRANSACTION_ENTRIES", 2)
    whole: Topic = {}
    published(whole, ROWS)
    commits = 0
    for survived in range(4):
        topic = dict(whole)
        dying = Dying(KIND, topic, lists)
        dying.survives = survived
        try:
            dying.take(ROWS)
        except ProcessDied:
            commits += 1
        release = Release(KIND, topic, lists)
        assert [[]] * (GONE_AFTER + 1) == [states(release, ROWS) for _ in range(GONE_AFTER + 1)]
        assert {2: 3} == release.versions()
    assert commits > 1


def test_a_page_that_moves_is_deleted_where_it_was() -> None:
    topic: Topic = {}
    published(topic, ROWS)
    before = set(topic) - {""}
    Release(KIND, topic, lists_of("devices", DedupMode.LATEST, CHANGES["a part more in the key"])).take(ROWS)

    assert len(before) == len(set(topic) - {""})
    assert not before & set(topic)


def test_a_release_that_is_left_out_is_missed(lists: Lists) -> None:
    topic: Topic = {}
    published(topic, ROWS)
    with pytest.raises(UnreadableState) as refused:
        Release(KIND, topic, lists, following(lists))
    assert "state_too_old" == refused.value.code
