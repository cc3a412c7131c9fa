"""docs/operations.md has every warning and every error that the collector may log, by its name, and no other."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import DOCS, ROOT, spans, tables

LEVELS = ("warning", "error")


def logged(path: Path) -> Iterator[tuple[str, str]]:
    """Event and level. Each is written out where it is logged, so that who finds it in a log finds it in the code."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            event = node.args[0]
            assert isinstance(event, ast.Constant), f"{path}:{node.lineno}: the event's name is not written out"
            yield str(event.value), node.func.attr


def test_every_warning_and_error_says_what_it_means() -> None:
    (told,) = (table for table in tables((DOCS / "operations.md").read_text("utf-8")) if table.header[0] == "event")

    found = {each for path in (ROOT / "collector").rglob("*.py") for each in logged(path)}
    assert found == {(spans(row[0])[0], row[1]) for row in told.rows}
    assert all(all(row) for row in told.rows)


def test_the_names_are_found_where_they_are_logged(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('log.info("begun")\nlog.bind(a=1).warning("wrong", b=2)\nself._log.error("worse")\n', "utf-8")

    assert [("worse", "error"), ("wrong", "warning")] == sorted(logged(path))
