"""No document shows an event of the form before the first release: a renamed field, or an identity without a vendor."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT
from tests.docs.test_links import pages

OLD_FIELDS = ("created", "end", "footfall_start", "index", "modified", "start", "start_local")
"""Names of fields of events before the first release. In prose, in code and in tables they may be ordinary words."""
_OLD_FIELD = re.compile(rf'"(?:{"|".join(OLD_FIELDS)})"\s*:')
_OLD_IDENTITY = re.compile(r'"record_id"\s*:\s*"(?!(?:quividi|seemetrix)/)[^"]*"')


def documents() -> list[Path]:
    """Return all pages and parts of pages, the programs and schemas for consumers, without released schemas."""
    parts = (ROOT / "tests").rglob("*.head.md")
    schemas = (path for path in (DOCS / "schemas").rglob("*.json") if "released" not in path.parts)
    programs = (path for path in (DOCS / "consumers").iterdir() if path.is_file() and path.suffix != ".md")
    return sorted([*pages(), *parts, *schemas, *programs])


def old_parts(text: str) -> list[str]:
    """Return each field and identity of an old event, as JSON, in the order of their kinds."""
    return [*_OLD_FIELD.findall(text), *_OLD_IDENTITY.findall(text)]


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_shows_an_old_event(path: Path) -> None:
    assert [] == old_parts(path.read_text("utf-8"))


@pytest.mark.parametrize("name", OLD_FIELDS)
def test_an_old_field_is_found_in_each_form_of_json(name: str) -> None:
    assert [f'"{name}":'] == old_parts(f'```json\n{{\n  "event_id": "a",\n  "{name}": "2019-07-01"\n}}\n```\n')
    assert [f'"{name}" :'] == old_parts(f'    mall {{"{name}" : 0}}\n')


def test_an_old_identity_is_found() -> None:
    assert ['"record_id": "632/3024/17/2026-11-01T10:00:00.000Z"'] == old_parts(
        '{"record_id": "632/3024/17/2026-11-01T10:00:00.000Z"}'
    )
    assert [] == old_parts('{"record_id": "seemetrix/632/session/3024/17/2026-11-01T10:00:00.000Z"}')


def test_fields_of_vendors_and_words_are_no_old_fields() -> None:
    text = '`start` and `end`: {"period_start": "2018-01-29T02:00:00", "started_at": null, "start_time": "09:29:10"}'
    assert [] == old_parts(text)


def test_the_documents_for_consumers_are_checked() -> None:
    names = {str(path.relative_to(ROOT)) for path in documents()}
    assert {
        "README.md",
        "CHANGELOG.md",
        "docs/events.md",
        "docs/consumers/kcat.sh",
        "docs/schemas/asyncapi.json",
        "tests/contracts/events.head.md",
    } <= names
