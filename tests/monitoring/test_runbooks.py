"""Every alert has a severity, texts and a runbook in docs/operations.md."""

import re

import pytest

from tests.monitoring.definitions import OPERATIONS, alerts, rules

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
    assert alert["annotations"].keys() - {"owner"} == {"summary", "description", "runbook_url"}
    url = alert["annotations"]["runbook_url"]
    assert (
        f'{{{{ with query "collector:runbooks" }}}}{{{{ . | first | label "url" }}}}{{{{ end }}}}#{name.lower()}' == url
    )


@pytest.mark.parametrize("name", alerts())
def test_an_alert_of_a_stream_names_its_owner(name: str) -> None:
    """Unless it has the label `instance`, which then is the replica."""
    annotations = alerts()[name]["annotations"]
    is_of_stream = "$labels.source" in annotations["summary"]
    assert is_of_stream == ("owner" in annotations)
    assert "owner" not in annotations or "collector:stream_owner{" in annotations["owner"]


def test_the_address_of_the_runbooks_is_set_in_one_place() -> None:
    (rule,) = (rule for rule in rules() if rule.get("record") == "collector:runbooks")
    assert {"url": "docs/operations.md"} == rule["labels"]


@pytest.mark.parametrize(("name", "text"), sections().items(), ids=sections())
def test_a_runbook_has_all_parts_in_order(name: str, text: str) -> None:
    assert sorted(PARTS, key=text.find) == list(PARTS), name
    assert all(part in text for part in PARTS), name
