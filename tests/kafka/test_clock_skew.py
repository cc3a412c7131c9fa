"""A skewed clock also applies to Kafka records, which compiled code timestamps, and follows its file at run time."""

import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import sys, time
from tests.kafka.clock_skew import READ_EVERY_S, parse_skew, skew_clocks

skew_clocks(parse_skew(sys.argv[1]))
from types import SimpleNamespace
from collector.clock import SystemClock
from collector.kafka.producer import Producer

def print_clocks():
    batch = Producer.create_batch(SimpleNamespace(_codec=0))
    print(batch._builder._first_timestamp / 1000, SystemClock().now().timestamp(), time.time())

print_clocks()
open(sys.argv[1], "w").write("0")
time.sleep(2 * READ_EVERY_S)
print_clocks()
"""


def test_records_and_clocks_are_ahead_until_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "skew"
    file.write_text("7200", "utf-8")
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file)], check=True, capture_output=True, text=True
    ).stdout
    before, after = ([float(clock_s) - time.time() for clock_s in line.split()] for line in output.splitlines())
    assert 3 == len(before) == len(after)
    assert all(7000 < skew_s < 7300 for skew_s in before), before
    assert all(-100 < skew_s < 100 for skew_s in after), after
