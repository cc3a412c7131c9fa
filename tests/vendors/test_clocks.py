"""Clocks of vendors' hosts that cannot be right are reported and not used. An undecided doubt loses nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from collector.vendors.clocks import ClockNotice, Clocks, Doubt, Moment
from tests.simulated import START

A, B, C = "a.example", "b.example", "c.example"
NONE = timedelta(0)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
VENDOR, OWN, UNDECIDED = (doubt.value for doubt in Doubt)


class Machine:
    """This machine: its clock is ahead of the true time by `ahead`; its monotonic clock is right."""

    def __init__(self, ahead: timedelta = NONE) -> None:
        self.true = START
        self.ahead = ahead
        self.notices: list[tuple[str, str | None]] = []
        self.texts: list[ClockNotice] = []
        self.clocks = Clocks(self._changed)

    def _changed(self, host: str, notice: ClockNotice | None) -> None:
        self.notices.append((host, None if notice is None else notice.code))
        if notice is not None:
            self.texts.append(notice)

    @property
    def moment(self) -> Moment:
        return Moment(self.true + self.ahead, self.true.timestamp())

    def observe(self, host: str, *aheads: timedelta, each: timedelta = MINUTE, took: timedelta = NONE) -> list[bool]:
        """Responses of the host, a minute apart: its clock is ahead of the true time by these amounts."""
        usable = []
        for ahead in aheads:
            usable.append(self.clocks.observe(host, self.true + ahead, took, self.moment))
            self.true += each
        return usable

    def observe_dates(self, host: str, dates: Sequence[datetime]) -> list[bool]:
        usable = []
        for date in dates:
            usable.append(self.clocks.observe(host, date, NONE, self.moment))
            self.true += MINUTE
        return usable

    def kafka(self, max_ahead: timedelta = HOUR) -> None:
        self.clocks.kafka_accepted(self.moment, max_ahead)


def test_a_clock_that_agrees_is_used_without_a_notice() -> None:
    machine = Machine()
    assert [True] * 3 == machine.observe(A, NONE, timedelta(seconds=-50), timedelta(seconds=50))
    assert [] == machine.notices


def test_a_clock_that_is_a_few_minutes_behind_is_used_without_a_notice() -> None:
    machine = Machine()
    assert [True] * 2 == machine.observe(A, -4 * MINUTE, -4 * MINUTE)
    assert [] == machine.notices


@pytest.mark.parametrize("year", [1, 1970, 2024])
def test_a_date_before_this_program_existed_is_never_used(year: int) -> None:
    machine = Machine()
    assert [False] * 30 == machine.observe_dates(A, [datetime(year, 1, 1, tzinfo=UTC)] * 30)
    assert [(A, VENDOR)] == machine.notices
    assert A in machine.texts[0].reason
    assert A in machine.texts[0].advice


def test_a_date_in_the_last_year_of_the_calendar_is_only_undecided() -> None:
    machine = Machine()
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert [True] * 2 == machine.observe_dates(A, [last, last])
    assert [(A, UNDECIDED)] == machine.notices


def test_with_a_single_host_it_is_not_known_which_clock_is_wrong() -> None:
    machine = Machine()
    machine.kafka()
    assert [True] * 30 == machine.observe(A, *[-HOUR] * 30)
    assert [(A, UNDECIDED)] == machine.notices
    assert "NTP" in machine.texts[0].advice


def test_another_host_that_agrees_convicts_a_clock_that_is_far() -> None:
    machine = Machine()
    assert [True, False] == machine.observe(B, NONE) + machine.observe(A, -6 * MINUTE)
    assert [(A, VENDOR)] == machine.notices


def test_a_clock_is_convicted_when_another_host_agrees_later() -> None:
    machine = Machine()
    assert [True] == machine.observe(A, -HOUR)
    machine.observe(B, NONE)
    assert [False] == machine.observe(A, -HOUR)
    assert [(A, UNDECIDED), (A, VENDOR)] == machine.notices


def test_an_agreement_of_another_host_expires() -> None:
    machine = Machine()
    machine.observe(B, NONE, each=DAY + MINUTE)
    assert [True] == machine.observe(A, -HOUR)
    assert [(A, UNDECIDED)] == machine.notices


def test_a_host_that_differs_by_minutes_confirms_nothing() -> None:
    machine = Machine()
    machine.observe(B, -2 * MINUTE)
    assert [True] == machine.observe(A, -HOUR)


@pytest.mark.parametrize(("behind", "usable"), [(HOUR, True), (HOUR + 4 * MINUTE, True), (HOUR + 6 * MINUTE, False)])
def test_kafka_convicts_a_clock_that_is_further_behind_than_kafka_lets_timestamps_be_ahead(
    behind: timedelta, usable: bool
) -> None:
    machine = Machine()
    machine.kafka()
    assert [usable] == machine.observe(A, -behind)


def test_what_kafka_accepted_before_this_machine_s_clock_was_set_convicts_nothing() -> None:
    machine = Machine()
    machine.kafka()
    machine.ahead = 3 * HOUR
    assert [True] == machine.observe(A, NONE)


def test_kafka_does_not_convict_a_clock_that_is_ahead() -> None:
    machine = Machine()
    machine.kafka()
    assert [True] == machine.observe(A, 3 * HOUR)
    assert [(A, UNDECIDED)] == machine.notices


def test_a_clock_that_is_ahead_is_reported_and_convicted_by_another_host() -> None:
    machine = Machine()
    machine.observe(B, NONE)
    assert [False] == machine.observe(A, HOUR)
    assert [(A, VENDOR)] == machine.notices


def test_a_clock_that_agreed_and_then_goes_back_is_not_used_until_it_agrees_again() -> None:
    machine = Machine()
    back = [-6 * MINUTE, -6 * MINUTE, -3 * MINUTE, -2 * MINUTE]
    assert [True, *[False] * 4, True] == machine.observe(A, NONE, *back, NONE)
    assert [(A, VENDOR)] == machine.notices


def test_a_clock_that_stands_after_it_agreed_is_not_used() -> None:
    machine = Machine()
    stood = machine.observe_dates(A, [START] * 60)
    assert [True] * 6 + [False] * 54 == stood
    assert [(A, VENDOR)] == machine.notices


def test_a_clock_that_went_back_stays_unused_for_days() -> None:
    machine = Machine()
    machine.observe(A, NONE)
    assert [False] * 50 == machine.observe(A, *[-DAY] * 50, each=2 * HOUR)


def test_a_clock_that_goes_back_without_ever_having_agreed_is_not_used() -> None:
    machine = Machine()
    assert [True, False, False] == machine.observe(A, 2 * HOUR, -HOUR, -HOUR)
    assert [(A, UNDECIDED), (A, VENDOR)] == machine.notices


def test_a_response_that_took_minutes_does_not_go_back() -> None:
    machine = Machine()
    assert [True] * 3 == machine.observe(A, -2 * HOUR) + machine.observe(
        A, -2 * HOUR - 9 * MINUTE, took=10 * MINUTE
    ) + machine.observe(A, -2 * HOUR)


@pytest.mark.parametrize("wrong", [-HOUR, timedelta(days=-9000), HOUR])
def test_one_wrong_date_among_good_ones_is_ignored(wrong: timedelta) -> None:
    machine = Machine()
    usable = machine.observe(A, NONE, NONE, wrong, *[NONE] * 15)
    assert usable[:2] + usable[3:] == [True] * 17
    assert usable[2] is (wrong > NONE)  # a clock that is ahead is never the earlier one
    assert [(A, VENDOR if wrong < NONE else UNDECIDED), (A, None)] == machine.notices


@pytest.mark.parametrize("glitch", [10 * MINUTE, -DAY])
def test_a_right_clock_is_still_used_after_one_wrong_date_while_this_machine_s_clock_is_ahead(
    glitch: timedelta,
) -> None:
    machine = Machine(ahead=2 * HOUR)
    usable = machine.observe(A, NONE, NONE, glitch, *[NONE] * 20)
    assert [True] * 20 == usable[3:]


def test_a_notice_does_not_alternate_with_the_servers_behind_a_host() -> None:
    machine = Machine()
    machine.observe(B, NONE)
    for _ in range(100):
        assert [True, False] == machine.observe(A, NONE, -HOUR)
    assert [(A, VENDOR)] == machine.notices
    machine.observe(A, *[NONE] * 11)
    assert [(A, VENDOR), (A, None)] == machine.notices


@pytest.mark.parametrize("ahead", [3 * HOUR, -3 * HOUR])
def test_two_hosts_that_agree_show_that_this_machine_s_clock_is_wrong(ahead: timedelta) -> None:
    machine = Machine(ahead=ahead)
    for _ in range(20):
        assert [True, True] == machine.observe(A, NONE) + machine.observe(B, NONE)
    assert [(A, UNDECIDED), (B, OWN), (A, OWN)] == machine.notices
    assert "NTP" in machine.texts[-1].advice


@pytest.mark.parametrize("ahead", [HOUR / 2, 3 * HOUR])
def test_hosts_that_agreed_before_this_machine_s_clock_was_set_ahead_stay_in_use(ahead: timedelta) -> None:
    machine = Machine()
    machine.kafka()
    machine.observe(A, NONE)
    machine.observe(B, NONE)
    machine.ahead = ahead
    for _ in range(20):
        assert [True, True] == machine.observe(A, NONE) + machine.observe(B, NONE)
    assert [(A, UNDECIDED), (B, OWN), (A, OWN)] == machine.notices
    machine.ahead = NONE
    for _ in range(20):
        assert [True, True] == machine.observe(A, NONE) + machine.observe(B, NONE)
    assert [(A, None), (B, None)] == machine.notices[3:]


def test_a_convicted_clock_is_judged_again_when_this_machine_s_clock_is_set() -> None:
    machine = Machine()
    machine.observe(B, NONE)
    assert [False] == machine.observe(A, -HOUR)
    machine.ahead = -HOUR
    assert [True] == machine.observe(A, -HOUR)


def test_the_majority_decides() -> None:
    machine = Machine(ahead=3 * HOUR)
    assert [True] == machine.observe(C, 3 * HOUR)  # wrong in the same way as this machine
    assert [False, True] == machine.observe(A, NONE) + machine.observe(B, NONE)
    assert [True, True] == machine.observe(A, NONE) + machine.observe(B, NONE)


def test_two_hosts_that_go_back_together_are_outvoted_by_what_they_showed_before() -> None:
    machine = Machine()
    machine.observe(A, NONE)
    machine.observe(B, NONE)
    for _ in range(10):
        assert [False, False] == machine.observe(A, -HOUR) + machine.observe(B, -HOUR)
    assert [(A, VENDOR), (B, VENDOR)] == machine.notices


def test_hosts_that_are_ahead_after_this_machine_was_suspended_show_that_its_clock_is_wrong() -> None:
    """A suspended machine's clocks stand, the monotonic one too: nothing shows that its clock must be set."""
    machine = Machine()
    machine.observe(A, NONE)
    machine.observe(B, NONE)
    for _ in range(2):
        machine.observe(A, HOUR)
        machine.observe(B, HOUR)
    assert (A, OWN) == machine.notices[-1]
    assert (B, OWN) in machine.notices
