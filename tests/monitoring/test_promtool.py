"""The rules of Prometheus: valid, and each tested by promtool in a scenario."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.definitions import PROMETHEUS, SCENARIOS, alerts, load, recorded
from tests.needs import absent, need


def promtool(*arguments: str | Path) -> None:
    need("PROMETHEUS", absent("promtool"))
    ran = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=180, check=False)
    assert (0, "") == (ran.returncode, ran.stderr), ran.stdout


def scenario_tests() -> Iterator[dict[str, Any]]:
    for path in SCENARIOS:
        yield from load(path)["tests"]


def test_the_configuration_and_its_rules_are_valid() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")
    promtool("check", "rules", PROMETHEUS / "rules.yml", PROMETHEUS / "alerts.yml")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_has_the_expected_alerts_and_records(path: Path) -> None:
    promtool("test", "rules", path)


def test_every_alert_is_tested_firing_and_not_firing() -> None:
    cases = [case for test in scenario_tests() for case in test.get("alert_rule_test", ())]
    firing = {case["alertname"] for case in cases if case.get("exp_alerts")}
    silent = {case["alertname"] for case in cases if not case.get("exp_alerts")}
    assert (set(alerts()), set(alerts())) == (firing, silent)


def test_every_recording_rule_is_tested() -> None:
    exprs = [case["expr"] for test in scenario_tests() for case in test.get("promql_expr_test", ())]
    assert set() == {name for name in recorded() if not any(name in expr for expr in exprs)}
