"""The rounds of `make soak` together inject every fault as often as the long run must."""

import itertools
from collections import Counter
from random import Random

import pytest

from tests.faults.__main__ import parse
from tests.faults.fault_list import ROUNDS, SCENARIOS, long_run

LEAST = {
    "killed at random": 200,
    "killed at each step": 20,
    "paused beyond the session": 50,
    "replicas come and go": 100,
    "broker killed or stopped": 50,
    "network fails": 10,
    "vendors fail": 500,
    "deposed leader": 20,
    "state topic re-created": 5,
    "state partition removed": 5,
    "state partition cut in half": 5,
    "one fence among 64 accounts": 20,
    "restored under a quota": 3,
    "all brokers move": 5,
    "log target fails": 1,
    "clock two hours ahead": 1,
}
"""The cancellations of a commit are not here: `test_publisher_cancelled` tests every one, every time."""
LEAST_OF_EACH_KIND = 25
"""Kills, and clean stops, of the broker. They alternate in each round, and a kill is first."""


def test_all_rounds_together_inject_each_fault_as_often_as_required() -> None:
    counts = Counter[str]()
    for times in map(times_in, range(1, ROUNDS + 1)):
        counts.update(times)
    assert {} == {fault: counts[fault] for fault, least in LEAST.items() if counts[fault] < least}
    assert counts == {scenario.name: scenario.long_run for scenario in SCENARIOS}


def test_all_rounds_together_kill_and_stop_the_broker_equally_often() -> None:
    times = [times_in(number)["broker killed or stopped"] for number in range(1, ROUNDS + 1)]
    assert min(sum(each - each // 2 for each in times), sum(each // 2 for each in times)) >= LEAST_OF_EACH_KIND
    assert {0} == {each % 2 for each in times}


def test_no_round_injects_a_fault_more_often_than_its_share() -> None:
    for number in range(1, ROUNDS + 1):
        shares = {scenario.name: -(-scenario.long_run // ROUNDS) for scenario in SCENARIOS}
        assert {} == {name: times for name, times in times_in(number).items() if times > shares[name]}


def test_a_round_is_the_same_each_time_and_another_seed_changes_only_the_order() -> None:
    assert list(long_run(Random(3), [3])) == list(long_run(Random(3), [3])) != list(long_run(Random(7), [3]))
    assert times_in(3) == {scenario.name: times for scenario, times in long_run(Random(7), [3])}


def test_without_a_round_all_run_with_one_seed() -> None:
    whole = list(long_run(Random(7)))
    assert sum(scenario.long_run for scenario in SCENARIOS) == sum(times for _, times in whole)
    assert whole[: len(times_in(1))] == list(long_run(Random(7), [1]))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--round", "3"], (3, 3, float("inf"), 1)),
        (["--round", "3", "--seed", "7", "--from-trial", "5"], (3, 7, float("inf"), 5)),
        (["--seed", "7"], (None, 7, 1800, 1)),
        (["--seed", "7", "--seconds", "60"], (None, 7, 60, 1)),
    ],
)
def test_the_number_of_a_round_is_its_seed(arguments: list[str], expected: tuple[int | None, int, float, int]) -> None:
    options = parse(arguments)
    assert expected == (options.round, options.seed, options.seconds, options.from_trial)


def times_in(number: int) -> dict[str, int]:
    """How many times this round injects each fault."""
    trials = list(long_run(Random(number), [number]))
    assert 0 == sum(one is other for (one, _), (other, _) in itertools.combinations(trials, 2))
    return {scenario.name: times for scenario, times in trials}
