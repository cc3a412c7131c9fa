"""Sends the same messages, encoded in advance, with Kafka's own `kafka-producer-perf-test`. Arguments: KAFKA PREFIX.

It sends no headers, so each payload is a value and the text of its headers: the same bytes. Two runs differ in the
number of messages only, so their difference is the cost of the messages, without the start of Java.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import structs

from bench.history import DEVICES, EVENTS_PER_SESSION, SESSIONS, messages
from bench.measurement import Measurement
from tests.kafka.tools import POM
from tests.maven import fetched

MAIN = "org.apache.kafka.tools.ProducerPerformance"
ENCODED_SESSIONS = 2_000
"""The tool reads their messages from a file, and chooses one at random for each that it sends."""
OPTIONS = ("-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
PROPERTIES = ("acks=all", "enable.idempotence=true", "compression.type=lz4", "linger.ms=5", f"batch.size={256 << 10}")


def main(kafka: str, topic: str) -> None:
    jars = fetched("kafka-tools", POM, "copy-dependencies", "-DincludeScope=runtime")
    with tempfile.TemporaryDirectory() as home:
        payloads = Path(home) / "payloads"
        with payloads.open("wb") as file:
            for each in messages(ENCODED_SESSIONS):
                headers = (name.encode() + value for name, value in each.headers)
                file.write(each.value + b"".join(headers) + b"\n")
        command = ["java", "-cp", f"{jars}/*", *OPTIONS, MAIN, "--topic", topic, "--throughput", "-1"]
        command += ["--payload-file", str(payloads), "--key-distribution", "random"]
        command += ["--record-key-range", str(DEVICES), "--bootstrap-server", kafka]
        command += ["--command-property", *PROPERTIES, "--num-records"]
        start = _measured(command, 1)
        whole = _measured(command, SESSIONS * EVENTS_PER_SESSION)
    found = structs.replace(whole, wall_s=whole.wall_s - start.wall_s, cpu_s=whole.cpu_s - start.cpu_s)
    sys.stdout.buffer.write(msgspec.json.encode(found))


def _measured(command: Sequence[str], records: int) -> Measurement:
    started = time.perf_counter()
    process = subprocess.Popen([*command, str(records)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"kafka-producer-perf-test ended with {os.waitstatus_to_exitcode(status)}")
    cpu_s = usage.ru_utime + usage.ru_stime
    return Measurement(records, time.perf_counter() - started, cpu_s, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
