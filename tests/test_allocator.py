"""Memory of large blocks goes back to the system, also when smaller ones were allocated between them."""

import subprocess
import sys

import pytest

FREED = """
import sys
from collector import allocator
if not allocator.return_large_blocks():
    sys.exit(3)
kept = []
for _ in range(8):
    large = [bytearray(8 << 20) for _ in range(4)]
    kept += [bytes(1000) for _ in range(100)]
    del large
    kept += [bytes(1000) for _ in range(100)]
status = open("/proc/self/status", encoding="utf-8").read()
print(int(status.partition("VmRSS:")[2].split()[0]) // 1024)
"""
MAX_MIB = 32
"""More than an interpreter takes, and as much as four of the 32 blocks."""


def test_large_blocks_are_returned_when_they_are_freed() -> None:
    found = subprocess.run([sys.executable, "-c", FREED], check=False, capture_output=True, text=True)
    if found.returncode == 3:
        pytest.skip("the C library has no mallopt")
    assert int(found.stdout) < MAX_MIB
