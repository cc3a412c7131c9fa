"""docs/operations.md explains every warning and error that the collector may log exactly once, and no other."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import DOCS, ROOT, spans, tables

LEVELS = ("warning", "error")


def logged(path: Path) -> Iterator[tuple[str, str]]:
    """Yield event and level of each call. The event must be a literal, so that it can be found in the code."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            event = node.args[0]
            assert isinstance(event, ast.Constant), f"{path}:{node.lineno}: the event is no literal"
            yield str(event.value), node.func.attr


def test_every_warning_and_error_is_explained_once() -> None:
    (table,) = (each for each in tables((DOCS / "operations.md").read_text("utf-8")) if each.header[0] == "log event")
    level = table.header.index("level")

    found = {each for path in (ROOT / "collector").rglob("*.py") for each in logged(path)}
    assert Counter(found) == Counter((spans(row[0])[0], row[level]) for row in table.rows)
    assert all(all(row) for row in table.rows)


def test_events_are_found_in_code(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('log.info("started")\nlog.bind(a=1).warning("wrong", b=2)\nself._log.error("worse")\n', "utf-8")

    assert [("worse", "error"), ("wrong", "warning")] == sorted(logged(path))
