"""Compares codecs, their levels and sizes of batches: CPU time for a session of 13 events, and bytes of an event.

    python -m bench.codecs

Takes half a minute, and needs nothing.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from aiokafka import codec
from rich.console import Console
from rich.table import Table

from bench.history import messages

SESSIONS = 2000
BATCH_BYTES = (16 << 10, 64 << 10, 256 << 10, 900_000)
REPEATS = 3
CODECS: Mapping[str, Callable[[bytes], bytes]] = {
    "snappy": codec.snappy_encode,
    "lz4, level 1 (used)": partial(codec.lz4_encode, level=1),
    "lz4, level 4": partial(codec.lz4_encode, level=4),
    "lz4, level 9": partial(codec.lz4_encode, level=9),
    "zstd, level 1 (used)": partial(codec.zstd_encode, level=1),
    "zstd, level 3": partial(codec.zstd_encode, level=3),
    "zstd, level 6": partial(codec.zstd_encode, level=6),
    "gzip, level 6 (used)": partial(codec.gzip_encode, compresslevel=6),
    "gzip, level 9": partial(codec.gzip_encode, compresslevel=9),
}


def table() -> Table:
    """A row for each codec, a column for each size of batches."""
    records: dict[str, list[bytes]] = defaultdict(list)
    for message in messages(SESSIONS):
        records[message.topic].append(message.record)
    events = sum(map(len, records.values()))
    found = Table("µs a session, bytes an event", *(f"batches of {size >> 10} KiB" for size in BATCH_BYTES))
    for name, encode in CODECS.items():
        cells = []
        for size in BATCH_BYTES:
            batches = [batch for of_topic in records.values() for batch in _batches(of_topic, size)]
            cpu_s, compressed = min(_compressed(encode, batches) for _ in range(REPEATS))
            cells.append(f"{cpu_s / SESSIONS * 1e6:.1f}, {compressed / events:.0f}")
        found.add_row(name, *cells)
    return found


def _compressed(encode: Callable[[bytes], bytes], batches: Sequence[bytes]) -> tuple[float, int]:
    """The CPU seconds and the bytes of the compressed batches."""
    started = time.process_time()
    size = sum(len(encode(batch)) for batch in batches)
    return time.process_time() - started, size


def _batches(records: Sequence[bytes], size: int) -> Sequence[bytes]:
    """The records in batches of this size."""
    whole = b"".join(records)
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def main() -> None:
    Console(highlight=False, width=120).print(table())


if __name__ == "__main__":
    main()
