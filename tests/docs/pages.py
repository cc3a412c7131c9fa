"""Reads facts from a Markdown page: headings, tables, links, code spans and code blocks."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


class Table(Struct, frozen=True):
    """A table, with the heading above it. Cells are Markdown."""

    heading: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def fenced(text: str, language: str) -> list[str]:
    """Return the fenced code blocks of a language, in order."""
    return [block for _, tag, block in _FENCE.findall(text) if tag == language]


def prose(text: str) -> str:
    """Return the page without its fenced code blocks."""
    return _FENCE.sub("", text)


def spans(text: str) -> list[str]:
    """Return the code spans of a cell or a heading."""
    return _SPAN.findall(text)


def tables(text: str) -> Iterator[Table]:
    heading = ""
    for is_table, lines in groupby(prose(text).splitlines(), lambda line: line.startswith("|")):
        if is_table:
            header, _, *rows = (_cells(line) for line in lines)
            yield Table(heading, header, rows)
        else:
            heading = next((line.lstrip("# ") for line in reversed(list(lines)) if line.startswith("#")), heading)


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def links(text: str) -> list[str]:
    return _LINK.findall(_SPAN.sub("", prose(text)))


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub generates for the headings: the second of two equal headings ends in `-1`."""
    seen = Counter[str]()
    found = set()
    for heading in _HEADING.findall(prose(text)):
        words = _LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading)
        anchor = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found
