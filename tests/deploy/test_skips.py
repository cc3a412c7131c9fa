"""`make test` says why each skipped test was skipped, in both of its runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import skips

ROOT = Path(__file__).parents[2]


def skipped(nodeid: str, reason: str) -> pytest.TestReport:
    where = (nodeid.partition("::")[0], 1, f"Skipped: {reason}")
    return pytest.TestReport(nodeid, ("", None, ""), {}, outcome="skipped", longrepr=where, when="setup")


def test_a_reason_is_one_line_with_its_number_and_folders() -> None:
    reports = [
        skipped("tests/web/test_page.py::test_a", "needs browser: no chromium on the path"),
        skipped("tests/kafka/test_x.py::test_b", "needs kafka: no java on the path"),
        skipped("tests/faults/test_y.py::test_c[1]", "needs kafka: no java on the path"),
    ]

    assert [
        "    2  needs kafka: no java on the path (tests/faults, tests/kafka)",
        "    1  needs browser: no chromium on the path (tests/web)",
    ] == skips.summary(reports)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_run_ends_with_the_reasons(workers: str, tmp_path: Path) -> None:
    """With and without processes of their own for the tests."""
    (tmp_path / "conftest.py").write_text(
        "from tests import skips\n\n\n"
        "def pytest_terminal_summary(terminalreporter):\n    skips.write(terminalreporter)\n",
        "utf-8",
    )
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n\n@pytest.mark.parametrize('n', range(3))\ndef test_it(n):\n    pytest.skip('needs moon')\n",
        "utf-8",
    )
    folder = str(tmp_path)
    command = [sys.executable, "-m", "pytest", "--rootdir", folder, "-p", "no:cacheprovider", "-n", workers, folder]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)

    assert re.search(r"^ +3  needs moon \(", done.stdout, re.MULTILINE), done.stdout + done.stderr


def test_all_tests_write_the_summary() -> None:
    assert "skips.write(terminalreporter)" in (ROOT / "tests/conftest.py").read_text("utf-8")
