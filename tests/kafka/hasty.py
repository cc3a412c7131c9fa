"""`collector` that polls exports sooner, on a machine with another clock: `hasty.py FILE run --config …`.

The file contains by how many seconds the clock is ahead, as for `clock_skew.py`. A test that builds hundreds of exports
would mostly wait: the shortest wait before a poll is two seconds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # it runs as a script

from tests.kafka.clock_skew import parse_skew, skew_clocks

if __name__ == "__main__":
    skew_clocks(parse_skew(sys.argv.pop(1)))
    from collector.cli import main
    from collector.vendors.quividi import export

    export.FIRST_WAIT_S = export.MIN_WAIT_S = 0.2
    main()
