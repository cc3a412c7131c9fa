"""Every alert has a severity, texts and a runbook in docs/operations.md."""

import re

import pytest

from tests.monitoring.definitions import OPERATIONS, alerts

PARTS = ("**Means.** ", "**Look at** ", "**Do", "**Ends** ")


def sections() -> dict[str, str]:
    runbooks = OPERATIONS.read_text("utf-8").partition("\n## Runbooks\n")[2]
    runbooks = re.split(r"^## ", runbooks, flags=re.MULTILINE)[0]
    _, *found = re.split(r"^### ", runbooks, flags=re.MULTILINE)
    return {title: text for title, _, text in (section.partition("\n") for section in found)}


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    assert list(alerts()) == list(sections())


@pytest.mark.parametrize("name", alerts())
def test_an_alert_has_a_severity_texts_and_the_address_of_its_runbook(name: str) -> None:
    alert = alerts()[name]
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert f"docs/operations.md#{name.lower()}" == alert["annotations"]["runbook_url"]


@pytest.mark.parametrize(("name", "text"), sections().items(), ids=sections())
def test_a_runbook_has_all_parts_in_order(name: str, text: str) -> None:
    assert sorted(PARTS, key=text.find) == list(PARTS), name
    assert all(part in text for part in PARTS), name
