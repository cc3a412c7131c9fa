"""How the process returns memory to the system."""

import ctypes

_M_MMAP_THRESHOLD = -3
"""From glibc's malloc.h."""
MAPPED_BYTES = 256 * 1024
"""Blocks of at least this size go back to the system when they are freed. Bodies of responses are far larger, and what
is made of one row is smaller."""


def return_large_blocks() -> bool:
    """Let the C library return the memory of each large block, such as the body of a response, when it is freed.

    By default, glibc raises its limit for this to the size of the largest block freed so far, up to 32 MiB. After a few
    large responses it then takes the next ones from the heap, where small blocks that live longer keep their pages.

    Returns whether the C library has this setting: musl and macOS do not need it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES))
