"""Every link from one page of the project to another leads somewhere, to the heading that it names."""

from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import ROOT, anchors, links

_ELSEWHERE = ("https://", "http://", "mailto:")


def pages() -> list[Path]:
    """All of the project's own; a part of a page is looked at in the page."""
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    found = [*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))]
    return sorted(path for path in found if not path.name.endswith(".head.md"))


def broken(page: Path) -> list[str]:
    """The links that lead nowhere."""
    told = []
    for link in links(page.read_text("utf-8")):
        if link.startswith(_ELSEWHERE):
            continue
        name, _, anchor = unquote(link).partition("#")
        place = (page.parent / name).resolve() if name else page
        if not place.exists():
            told.append(f"{link}: there is no such file")
        elif anchor and place.suffix == ".md" and anchor not in anchors(place.read_text("utf-8")):
            told.append(f"{link}: there is no such heading")
    return told


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_to_what_there_is(page: Path) -> None:
    assert [] == broken(page)


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# One\n\n## A `key`, or two\n\n## One\n", "utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md#a-key-or-two) [b](there.md#one-1) [c](https://example.org/x.md) `[d](code.md)`\n"
        "[e](gone.md) [f](there.md#one-2) [g](#here)\n\n```sh\n[h](block.md)\n```\n",
        "utf-8",
    )

    assert [
        "gone.md: there is no such file",
        "there.md#one-2: there is no such heading",
        "#here: there is no such heading",
    ] == broken(page)


def test_the_pages_that_people_read_first_are_among_them() -> None:
    assert {"README.md", "docs/README.md", "docs/delivery.md"} <= {str(page.relative_to(ROOT)) for page in pages()}
