"""Names of time zones in configurations."""

from typing import Annotated
from zoneinfo import ZoneInfo

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
        raise ValueError("expected a time zone of the IANA database, such as Europe/Paris") from None
    return name


ZoneName = Annotated[str, AfterValidator(check_zone)]
"""The name of a time zone of the IANA database."""
