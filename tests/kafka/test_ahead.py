"""The clock that is ahead is so for Kafka's records too, which compiled code writes, and while the process runs."""

import subprocess
import sys
import time
from pathlib import Path

WRITTEN = """
import sys, time
from tests.kafka.ahead import READ_EVERY_S, be_ahead, read

be_ahead(read(sys.argv[1]))
from aiokafka.producer.message_accumulator import BatchBuilder
from collector.clock import SystemClock

def show():
    batch = BatchBuilder(1 << 16, 0, is_transactional=1)
    record = batch.append(timestamp=None, key=b"key", value=b"value", headers=[])
    print(record.timestamp / 1000, SystemClock().now().timestamp(), time.time())

show()
open(sys.argv[1], "w").write("0")
time.sleep(2 * READ_EVERY_S)
show()
"""


def test_records_and_clocks_are_ahead_until_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "ahead"
    file.write_text("7200", "utf-8")
    shown = subprocess.run(
        [sys.executable, "-c", WRITTEN, str(file)], check=True, capture_output=True, text=True
    ).stdout
    ahead, right = ([float(each) - time.time() for each in line.split()] for line in shown.splitlines())
    assert all(7000 < each < 7300 for each in ahead), ahead
    assert all(-100 < each < 100 for each in right), right
