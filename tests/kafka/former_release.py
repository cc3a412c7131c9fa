"""`collector` of a former release, which does not understand some sessions: `former_release.py run …`.

Of each device, these are every fifth, or those whose number is divisible by what the environment variable says.
"""

import os
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # it runs as a script

from collector.cli import main
from collector.model import Record, Reject
from collector.vendors.seemetrix import wire

EVERY = int(os.environ.get("FORMER_RELEASE_EVERY", "5"))
_read = wire.read_session


def read_session(row: bytes, ignored: Counter[str] | None = None) -> Record[wire.Session] | Reject:
    found = _read(row, ignored)
    if isinstance(found, Record) and found.payload.o % EVERY == 0:
        return Reject(row, "Expected a session of the former release - at `$.o`", str(found.payload.d))
    return found


if __name__ == "__main__":
    wire.read_session = read_session
    main()
