"""Names that the glossary has replaced are not used again, in code or in documents."""

import re
import tokenize
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

RETIRED_NAMES = {
    # checkpoint and ledger
    "Head",
    "Novelty",
    "Numbered",
    "Sieve",
    "sieve",
    "sift",
    "Memory",
    "filed_s",
    # windows and requests
    "Answer",
    "Grid",
    "Moments",
    "asked",
    "asked_at",
    "_asked_s",
    # streams and their status
    "Board",
    "Following",
    "Look",
    "Said",
    "SourceRow",
    "StreamRow",
    "Strip",
    "heard",
    "said",
    "tell",
    "told",
    # errors and secrets
    "Refused",
    "conceal",
    "concealed",
    # bounds
    "AT_ONCE",
    "LOOK_AGAIN",
}
"""Python identifiers. In strings, comments and documents they may be ordinary words."""
RETIRED_PREFIXES = ("MOST_", "FEWEST_")
RETIRED_WORDS = re.compile(r"\b(?:Sieve|Novelty|SourceRow|StreamRow|filed_s|AT_ONCE|(?:MOST|FEWEST)_[A-Z]\w*)\b")
"""Names that are not English words. They are not allowed in any text."""
TEXT = {".json", ".md", ".sh", ".toml", ".yaml", ".yml"}


def files() -> list[Path]:
    """Return the files of code, deployment and documents, without the decisions, which quote earlier names."""
    folders = (ROOT / "collector", ROOT / "deploy", DOCS)
    found = [ROOT / "README.md", *(path for folder in folders for path in folder.rglob("*"))]
    return sorted(
        path
        for path in found
        if (path.suffix in TEXT or path.suffix == ".py") and DOCS / "decisions" not in path.parents
    )


def identifiers(source: bytes) -> Iterator[tuple[int, str]]:
    """Yield line and name of each identifier and keyword in Python code."""
    for token in tokenize.tokenize(BytesIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


def retired(path: Path) -> list[str]:
    """Return `line: name` for each retired name in a file."""
    content = path.read_bytes()
    lines = content.decode().splitlines()
    found = {(number, word) for number, line in enumerate(lines, 1) for word in RETIRED_WORDS.findall(line)}
    if path.suffix == ".py":
        found |= {
            (number, name)
            for number, name in identifiers(content)
            if name in RETIRED_NAMES or name.lstrip("_").startswith(RETIRED_PREFIXES)
        }
    return [f"{number}: {word}" for number, word in sorted(found)]


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_retired_name_is_used(path: Path) -> None:
    assert [] == retired(path)


def test_retired_names_are_found_in_code_and_unmistakable_ones_in_any_text(tmp_path: Path) -> None:
    code, text = tmp_path / "module.py", tmp_path / "page.md"
    code.write_text(
        '"""Following what was told."""\nclass Following:\n    limit = _MOST_ROWS  # said\n    told = "heard"\n',
        "utf-8",
    )
    text.write_text("Following what was told, the `Sieve` takes\nat most `MOST_ROWS`, almost.\n", "utf-8")

    assert ["2: Following", "3: _MOST_ROWS", "4: told"] == retired(code)
    assert ["1: Sieve", "2: MOST_ROWS"] == retired(text)


def test_code_documents_and_deployment_are_searched() -> None:
    names = {str(path.relative_to(ROOT)) for path in files()}
    assert {"README.md", "collector/worker.py", "docs/delivery.md", "docs/consumers/python_aiokafka.py"} <= names
    assert any(name.startswith("deploy/") for name in names)
    assert not [name for name in names if name.startswith("docs/decisions/")]
