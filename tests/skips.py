"""The end of a test run: why tests were skipped, one line for each reason."""

from collections import defaultdict
from collections.abc import Iterable

import pytest


def summary(reports: Iterable[pytest.TestReport | pytest.CollectReport]) -> list[str]:
    """The lines, in the order of the number of tests: the number, the reason, and the folders of the tests."""
    folders: dict[str, list[str]] = defaultdict(list)
    for report in reports:
        folders[_reason(report)].append(report.nodeid.partition("::")[0].rpartition("/")[0])
    by_number = sorted(folders.items(), key=lambda item: (-len(item[1]), item[0]))
    return [f"{len(of):5}  {reason} ({', '.join(sorted(set(of)))})" for reason, of in by_number]


def write(reporter: pytest.TerminalReporter) -> None:
    """Write the summary, if a test was skipped."""
    if skipped := reporter.stats.get("skipped", []):
        reporter.section(f"skipped tests: {len(skipped)}", sep="-")
        for line in summary(skipped):
            reporter.write_line(line)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):  # path, line, text
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)
