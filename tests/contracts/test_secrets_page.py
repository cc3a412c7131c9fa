"""docs/secrets.md: its examples are valid, and its keys and numbers are those of the code."""

import re
from pathlib import Path

import pytest

from collector.config import load
from collector.redaction import MIN_LENGTH
from collector.secrets import MAX_FILE_BYTES
from collector.worker import CREDENTIALS_CHECK_INTERVAL

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "secrets.md").read_text("utf-8")
ADVICE = "".join(
    path.read_text("utf-8") for path in (ROOT / "collector" / "kafka").rglob("*.py") if path.name != "settings.py"
)
"""The code that makes the errors of Kafka, without the definition of the keys."""
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
_CAUSES = re.findall(r"^\|[^|]+\|([^|]+)\|$", PAGE.partition("| cause | fix |")[2], re.MULTILINE)
KEYS = sorted({key for fix in _CAUSES for key in re.findall(r"`\[?(kafka[^`\]]+)\]?`", fix)})
SOURCE = '\n[sources.example]\nvendor = "seemetrix"\nuser_id = 1\nuser_key = "invented-56"\n'


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_accepted(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text if "[sources" in text else text + SOURCE, "utf-8")

    assert load(path).sources


def test_every_table_of_kafka_is_shown() -> None:
    shown = "".join(EXAMPLES)
    assert not [table for table in ("[kafka.tls]", "[kafka.sasl]", "[http]") if table not in shown]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_to_change_is_also_in_the_advice_of_the_errors(key: str) -> None:
    *_, name = key.split(".")
    assert name in ADVICE


def test_its_numbers_are_the_code_s() -> None:
    assert len(_CAUSES) > 10
    assert len(KEYS) > 5
    assert f"fewer than {MIN_LENGTH} characters" in PAGE
    assert f"every {CREDENTIALS_CHECK_INTERVAL.seconds} seconds" in PAGE
    assert f"larger than {MAX_FILE_BYTES >> 10} KiB" in " ".join(PAGE.split())
