"""`make schemas`: docs/schemas/ and docs/events.md, made anew of the code."""

import sys

from tests.contracts.written import HOW_TO_ADD, SCHEMAS, broken, files, without_example

ADVICE = (
    "Fields may be added; anything else needs a type of a new version. A type that nobody reads yet may change: delete "
    "its file in docs/schemas/."
)


def main() -> None:
    if missing := without_example():
        sys.exit(f"no example of {', '.join(missing)}: {HOW_TO_ADD}")
    if told := list(broken()):
        sys.exit("\n".join([*told, ADVICE]))
    SCHEMAS.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text, "utf-8")


main()
