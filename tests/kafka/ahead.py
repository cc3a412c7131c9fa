"""`collector` on a machine whose clock is ahead: `ahead.py SECONDS run --config …`."""

import sys
from datetime import datetime, timedelta

from collector.cli import main
from collector.clock import SystemClock


def be_ahead(by: timedelta) -> None:
    right = SystemClock.now

    def now(self: SystemClock) -> datetime:
        return right(self) + by

    SystemClock.now = now  # type: ignore[method-assign]


if __name__ == "__main__":
    be_ahead(timedelta(seconds=float(sys.argv.pop(1))))
    main()
