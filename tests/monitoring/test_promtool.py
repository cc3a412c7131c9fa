"""The rules for Prometheus: valid, and each tried in scenarios that promtool plays through."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.written import PROMETHEUS, SCENARIOS, alerts, load, recorded
from tests.needs import absent, need


def promtool(*arguments: str | Path) -> None:
    need("PROMETHEUS", absent("promtool"))
    ran = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert (0, "") == (ran.returncode, ran.stderr), ran.stdout


def trials() -> Iterator[dict[str, Any]]:
    for path in SCENARIOS:
        yield from load(path)["tests"]


def test_the_configuration_and_its_rules_are_valid() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")
    promtool("check", "rules", PROMETHEUS / "rules.yml", PROMETHEUS / "alerts.yml")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_goes_as_it_is_written(path: Path) -> None:
    promtool("test", "rules", path)


def test_every_alert_is_seen_to_fire_and_not_to() -> None:
    tried = [case for trial in trials() for case in trial.get("alert_rule_test", ())]
    fires = {case["alertname"] for case in tried if case.get("exp_alerts")}
    rests = {case["alertname"] for case in tried if not case.get("exp_alerts")}
    assert (set(alerts()), set(alerts())) == (fires, rests)


def test_every_recording_rule_is_tried() -> None:
    exprs = [case["expr"] for trial in trials() for case in trial.get("promql_expr_test", ())]
    assert set() == {name for name in recorded() if not any(name in expr for expr in exprs)}
