"""`make schemas`: generate docs/schemas/ and docs/events.md from the code."""

import sys

from tests.contracts.committed import HOW_TO_ADD, SCHEMAS, breaking_changes, files, without_example

ADVICE = (
    "Only fields may be added. Any other change needs a new version. To change a type that has no consumers "
    "yet, delete its file in docs/schemas/."
)


def main() -> None:
    if missing := without_example():
        sys.exit(f"no example for {', '.join(missing)}: {HOW_TO_ADD}")
    if changes := list(breaking_changes()):
        sys.exit("\n".join([*changes, ADVICE]))
    SCHEMAS.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text, "utf-8")


main()
