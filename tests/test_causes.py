"""Each error about Kafka has a code of its own, so that programs and tests do not depend on its text."""

import ast
from collections.abc import Iterator
from pathlib import Path

KAFKA = Path(__file__).parents[1] / "collector" / "kafka"


def keywords_of_errors() -> Iterator[tuple[str, dict[str | None, ast.expr]]]:
    """The keyword arguments of each KafkaMisconfigured that is made, and where; also in the classes derived from it."""
    for path in sorted(KAFKA.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            calls = [node] if isinstance(node, ast.Call) and _name(node.func) == "KafkaMisconfigured" else []
            if isinstance(node, ast.ClassDef) and "KafkaMisconfigured" in map(_name, node.bases):
                calls = [
                    each for each in ast.walk(node) if isinstance(each, ast.Call) and _name(each.func) == "__init__"
                ]
            for call in calls:
                yield f"{path.name}:{call.lineno}", {each.arg: each.value for each in call.keywords}


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def test_each_error_has_a_code() -> None:
    found = dict(keywords_of_errors())
    assert len(found) > 30
    assert [] == [place for place, keywords in found.items() if "code" not in keywords]


def test_no_two_errors_share_a_code() -> None:
    values = [keywords["code"] for _, keywords in keywords_of_errors()]
    codes = [str(value.value) for value in values if isinstance(value, ast.Constant)]
    assert sorted(set(codes)) == sorted(codes)
