"""`collector` of a next release, in which every stream has other lists of fields: `next_release.py run …`."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from msgspec import structs

sys.path.insert(0, str(Path(__file__).parents[2]))  # it runs as a script

from collector.cli import main
from collector.vendors import quividi, seemetrix
from collector.vendors.base import Implementation
from tests.field_changes import FIELD_CHANGES, UpgradedStream, field_lists

CHANGE = FIELD_CHANGES["longer key and more fields"]


def changed(before: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
    def streams(*arguments: Any) -> Sequence[Any]:  # noqa: ANN401 - a vendor's
        return [
            UpgradedStream(each, field_lists(f"{each.account.vendor}.{each.name}", each.dedup_mode, CHANGE))
            for each in before(*arguments)
        ]

    return streams


def change_lists() -> None:
    for module in (seemetrix, quividi):
        implementation: Implementation[Any] = module.VENDOR.load()
        changed_one = structs.replace(implementation, streams=changed(implementation.streams))
        cast("Any", module).VENDOR = structs.replace(module.VENDOR, load=partial(lambda one: one, changed_one))


if __name__ == "__main__":
    change_lists()
    main()
