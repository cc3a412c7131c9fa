"""Names of time zones in configurations."""

import re
from difflib import get_close_matches
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator

from collector.errors import OUT_OF_FILES, RAISE_FILE_LIMIT, Failed, is_out_of_files

_OF_THE_MACHINE = ("localtime", "posixrules", "Factory")
"""Files beside those of the database: another machine has another zone under these names, or none."""
_OTHER_CLOCKS = ("right/", "posix/")
"""Copies of the database, which not every machine has. Those in the first count leap seconds."""


def check_zone(name: str) -> str:
    """The name, if it is one of the IANA database; else raises ValueError.

    Raises Failed if the zone's file cannot be opened, because the process has too many open files.
    """
    try:
        if name in _OF_THE_MACHINE or name.startswith(_OTHER_CLOCKS):
            raise ValueError(name)  # noqa: TRY301 - as the error of the call below
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        if is_out_of_files(error):
            raise Failed(f"the time zone {name} cannot be read: {RAISE_FILE_LIMIT}", code=OUT_OF_FILES) from None
        expected = f"expected a time zone of the IANA database, such as Europe/Paris{_suggestion(name)}"
        raise ValueError(expected) from None
    return name


def _suggestion(given: str) -> str:
    """A suggestion to append to an error's text: the zone of the nearest city; empty when none is near.

    None for offsets: `Etc/GMT+2` is two hours behind UTC, which is the opposite of what `GMT+2` means elsewhere.
    """
    if re.search("[0-9]", given):
        return ""
    by_city: dict[str, str] = {}
    for name in sorted(available_timezones(), key=lambda name: (name.count("/"), name)):
        if "/" in name and not name.startswith("Etc/"):
            by_city.setdefault(_city(name), name)
    near = get_close_matches(_city(given), by_city, n=1)
    return f" (did you mean {by_city[near[0]]}?)" if near else ""


def _city(name: str) -> str:
    """The last part of a name, however its words are separated."""
    return name.rpartition("/")[2].casefold().replace(" ", "_").strip("_")


ZoneName = Annotated[str, AfterValidator(check_zone)]
"""The name of a time zone of the IANA database."""
