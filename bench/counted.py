"""`collector` that counts its objects at SIGUSR1: `python -m bench.counted FILE run --config …` writes them to FILE."""

import signal
import sys
from pathlib import Path

from collector.cli import main
from tests.census import census

if __name__ == "__main__":
    file = Path(sys.argv.pop(1))

    def write(*_: object) -> None:
        new = file.with_suffix(".new")
        new.write_bytes(census())
        new.replace(file)

    signal.signal(signal.SIGUSR1, write)
    main()
