"""docs/operations.md explains every code that the error of a stream may have exactly once, and no other."""

import ast
from collections.abc import Iterator
from pathlib import Path

from collector.errors import OUT_OF_FILES
from collector.vendors.failures import _INVALID_RESPONSES
from tests.docs.pages import DOCS, ROOT, spans, tables

ERRORS = {"BudgetExceeded", "NotFound", "Park", "RetryLater", "UnreadableState"}
COMPUTED = {OUT_OF_FILES, "http_STATUS", "unexpected", *(code for code, _ in _INVALID_RESPONSES.values())}
"""Codes that are no literals where the error is made."""
NO_STREAMS = {"commands", "registry", "simulator"}
REGISTRY = "registry/ids.py"
"""Its errors concern streams; those of the other modules of the package are translated there."""


def codes(path: Path) -> Iterator[str]:
    """Yield the literal codes of errors that park a stream or delay it. A status of HTTP counts as `http_STATUS`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Name(name), keywords=keywords):
                given = {each.arg: each.value for each in keywords}
                # An error of Kafka concerns single streams if it has a topic.
                is_of_stream = name in ERRORS or (name == "KafkaMisconfigured" and "topic" in given)
                value = given.get("code") if is_of_stream else None
            case ast.Assign(targets=[ast.Tuple(elts=[ast.Name("code"), *_])], value=ast.Tuple(elts=[value, *_])):
                pass
            case _:
                continue
        if isinstance(value, ast.Constant):
            yield "http_STATUS" if str(value.value).startswith("http_") else str(value.value)


def test_every_code_is_explained_once() -> None:
    (table,) = (
        each for each in tables((DOCS / "operations.md").read_text("utf-8")) if each.header[:2] == ["code", "state"]
    )
    documented = [code for row in table.rows for code in spans(row[0])]

    folder = ROOT / "collector"
    paths = (path for path in folder.rglob("*.py") if path.relative_to(folder).parts[0] not in NO_STREAMS)
    found = {code for path in (*paths, folder / REGISTRY) for code in codes(path)} | COMPUTED
    assert sorted(found) == sorted(documented)
    assert all(all(row) for row in table.rows)


def test_codes_are_found_in_code(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        'raise Park("a", code="parked")\nraise RetryLater(f"{x}", code="http_202")\nraise Split("a", code="split")\n'
        'code, reason = "assigned", "b"\nKafkaMisconfigured("a", code="group")\n'
        'KafkaMisconfigured("a", code="topic", topic=x)\nRetryLater("a", code=error.code)\n',
        "utf-8",
    )

    assert ["assigned", "http_STATUS", "parked", "topic"] == sorted(codes(path))
