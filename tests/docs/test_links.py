"""Every link from one page of the project to another has a target: a file and, if the link names one, a heading."""

from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import ROOT, anchors, links

_EXTERNAL = ("https://", "http://", "mailto:")


def pages() -> list[Path]:
    """Return the project's Markdown files, without `.head.md` files, which are parts of other pages."""
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    found = [*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))]
    return sorted(path for path in found if not path.name.endswith(".head.md"))


def broken(page: Path) -> list[tuple[str, str]]:
    """Return each broken link, with what is missing: `file` or `heading`."""
    found = []
    for link in links(page.read_text("utf-8")):
        if link.startswith(_EXTERNAL):
            continue
        name, _, anchor = unquote(link).partition("#")
        place = (page.parent / name).resolve() if name else page
        if not place.exists():
            found.append((link, "file"))
        elif anchor and place.suffix == ".md" and anchor not in anchors(place.read_text("utf-8")):
            found.append((link, "heading"))
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_have_targets(page: Path) -> None:
    assert [] == broken(page)


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# One\n\n## A `key`, or two\n\n## One\n", "utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md#a-key-or-two) [b](there.md#one-1) [c](https://example.org/x.md) `[d](code.md)`\n"
        "[e](gone.md) [f](there.md#one-2) [g](#here)\n\n```sh\n[h](block.md)\n```\n",
        "utf-8",
    )

    assert [
        ("gone.md", "file"),
        ("there.md#one-2", "heading"),
        ("#here", "heading"),
    ] == broken(page)


def test_the_main_pages_are_checked() -> None:
    assert {"README.md", "docs/README.md", "docs/delivery.md"} <= {str(page.relative_to(ROOT)) for page in pages()}
