"""docs/secrets.md: its examples are valid, and the messages and numbers that it quotes are those of the code."""

import inspect
import re
from pathlib import Path

import pytest

from collector.config import load
from collector.kafka import connection, refusal
from collector.secrets import MAX_FILE_BYTES, MIN_LENGTH
from collector.worker import CREDENTIALS_CHECK_INTERVAL

PAGE = (Path(__file__).parents[2] / "docs" / "secrets.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
_MESSAGES = re.findall(r"^\| (`[^|]*) \|", PAGE.partition("| it says |")[2], re.MULTILINE)
QUOTED = re.findall(r"`([^`]+)`", "".join(_MESSAGES))
SOURCE = '\n[sources.example]\nvendor = "seemetrix"\nuser_id = 1\nuser_key = "invented-56"\n'


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_valid(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text if "[sources" in text else text + SOURCE, "utf-8")

    assert load(path).sources


def test_the_examples_contain_every_table_for_secrets() -> None:
    examples = "".join(EXAMPLES)
    assert not [table for table in ("[kafka.tls]", "[kafka.sasl]", "[http]") if table not in examples]


@pytest.mark.parametrize("message", QUOTED)
def test_a_quoted_message_is_one_of_the_code(message: str) -> None:
    assert message in inspect.getsource(refusal) + inspect.getsource(connection)


def test_quoted_numbers_are_those_of_the_code() -> None:
    assert len(QUOTED) > 10
    assert f" {MIN_LENGTH} characters" in PAGE
    assert f" {CREDENTIALS_CHECK_INTERVAL.seconds} seconds" in PAGE
    assert f" {MAX_FILE_BYTES >> 10} KiB" in " ".join(PAGE.split())
