"""docs/secrets.md: its examples are accepted, and what it says that is said is said."""

import inspect
import re
from pathlib import Path

import pytest

from collector.config import load
from collector.kafka import causes
from collector.secrets import MAX_FILE_BYTES, MIN_LENGTH
from collector.worker import CREDENTIALS_CHECK_INTERVAL

PAGE = (Path(__file__).parents[2] / "docs" / "secrets.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
_ROWS = re.findall(r"^\| (`[^|]*) \|", PAGE.partition("| it says |")[2], re.MULTILINE)
SAID = re.findall(r"`([^`]+)`", "".join(_ROWS))
SOURCE = '\n[sources.example]\nvendor = "seemetrix"\nuser_id = 1\nuser_key = "invented-56"\n'


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_accepted(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text if "[sources" in text else text + SOURCE, "utf-8")

    assert load(path).sources


def test_every_table_of_kafka_is_shown() -> None:
    shown = "".join(EXAMPLES)
    assert not [table for table in ("[kafka.tls]", "[kafka.sasl]", "[http]") if table not in shown]


@pytest.mark.parametrize("words", SAID)
def test_what_it_says_is_what_is_said(words: str) -> None:
    assert words in inspect.getsource(causes)


def test_its_numbers_are_the_code_s() -> None:
    assert len(SAID) > 10
    assert f"fewer than {MIN_LENGTH} characters" in PAGE
    assert f"looks every {CREDENTIALS_CHECK_INTERVAL.seconds} seconds" in PAGE
    assert f"larger than {MAX_FILE_BYTES >> 10} KiB" in " ".join(PAGE.split())
