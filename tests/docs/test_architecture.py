"""docs/architecture.md lists every module of the packages that it describes, and no other."""

from pathlib import Path

import pytest

from collector.vendors import VENDORS
from tests.docs.pages import DOCS, ROOT, spans

MODULES = (DOCS / "architecture.md").read_text("utf-8").partition("## Modules\n")[2].partition("\n## ")[0]
PACKAGES = ("", "pipeline", "vendors", "kafka")
NOT_LISTED = {"__init__.py", "__main__.py"}


def listed() -> set[str]:
    """The modules in the first columns of the tables, relative to `collector/`; packages end in a slash."""
    found, package = set[str](), ""
    for line in MODULES.splitlines():
        if line.startswith("**"):
            package = next((span for span in spans(line) if span.endswith("/") and span != "collector/"), "")
        elif line.startswith("|"):
            found |= {package + name for name in spans(line.split("|")[1])}
    return found


def existing(package: str) -> set[str]:
    """The modules and packages in a package."""
    folder = ROOT / "collector" / package
    modules = {path.name for path in folder.glob("*.py")} - NOT_LISTED
    packages = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    return {f"{package}/{name}".removeprefix("/") for name in modules | packages}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_modules_of_a_package_are_those_that_the_page_lists(package: str) -> None:
    separate = {"kafka/", "pipeline/", "vendors/"} | {
        f"vendors/{name}/" for name in VENDORS
    }  # described outside of the tables
    assert existing(package) - separate == {name for name in listed() if Path(name).parent.name == package}
