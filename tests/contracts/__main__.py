"""`make schemas`: generate docs/schemas/ and docs/events.md from the code."""

import sys

from collector import schemas
from tests.contracts.committed import (
    EXAMPLES,
    HOW_TO_ADD,
    SCHEMAS,
    breaking_changes,
    example_messages,
    files,
    without_example,
)

ADVICE = (
    "Only fields may be added. Any other change needs a new version. To change a type that has no consumers "
    "yet, delete its file in docs/schemas/."
)


def main() -> None:
    if missing := without_example():
        sys.exit(f"no example for {', '.join(missing)}: {HOW_TO_ADD}")
    if changes := list(breaking_changes()):
        sys.exit("\n".join([*changes, ADVICE]))
    EXAMPLES.write_text(example_messages(), "utf-8")
    schemas.examples.cache_clear()
    (SCHEMAS / "draft-07").mkdir(parents=True, exist_ok=True)
    for path, text in files().items():
        path.write_text(text, "utf-8")


main()
