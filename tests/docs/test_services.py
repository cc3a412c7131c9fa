"""The examples of docs/operations.md for Kafka services are valid configurations."""

import tomllib
from collections.abc import Mapping

import pytest

from collector.kafka.settings import KafkaSettings
from tests.docs.pages import DOCS, fenced, tables

PAGE = (DOCS / "operations.md").read_text("utf-8")
EXAMPLES = [tomllib.loads(block)["kafka"] for block in fenced(PAGE, "toml")]
HAS_TOKENS = "`token_url`" in (DOCS / "configuration.md").read_text("utf-8")
"""Whether `[kafka.sasl]` has tokens: that page has every key of the configuration, and no other."""


def _mechanism(example: Mapping[str, Mapping[str, str]]) -> str:
    return example.get("sasl", {}).get("mechanism", "certificate")


@pytest.mark.parametrize("example", EXAMPLES, ids=_mechanism)
def test_an_example_is_a_valid_configuration(example: Mapping[str, Mapping[str, str]]) -> None:
    if _mechanism(example) == "OAUTHBEARER" and not HAS_TOKENS:
        pytest.skip("[kafka.sasl] has no tokens")

    KafkaSettings.model_validate(example)


@pytest.mark.parametrize("example", EXAMPLES, ids=_mechanism)
def test_no_example_sends_a_password_without_tls_or_fixes_the_replication_factor(
    example: Mapping[str, Mapping[str, str]],
) -> None:
    assert "replication_factor" not in example
    assert "tls" in example or list(example) == ["sasl"]


def test_each_service_says_whether_it_can_be_used() -> None:
    [services] = [table for table in tables(PAGE) if table.header[:2] == ["service", "can be used"]]

    assert services.rows
    for row in services.rows:
        assert row[1].startswith(("yes", "**no", "**not"))
        assert "**tested here**" in row[1] or "*by their documents*" in row[1] or row[1].startswith("**no")
