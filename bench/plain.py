"""A plain program for the same purpose: no transactions, no ledger, no late records. Arguments: KAFKA URL PREFIX."""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import aiokafka
import orjson
import uvloop

from bench.history import KEY, SINCE, UNTIL, USER
from bench.measurement import Stopwatch

HOURS = 6
_GENDERS = {0: "female", 1: "male"}
_AGES = {0: "child", 1: "young_adult", 2: "adult", 3: "senior"}
_EMOTIONS = {0: "neutral", 1: "happy", 2: "angry", 3: "surprised"}


async def main(kafka: str, url: str, prefix: str) -> None:
    watch, sent = Stopwatch(), 0
    async with aiokafka.AIOKafkaProducer(
        bootstrap_servers=kafka, compression_type="lz4", max_batch_size=256 << 10, linger_ms=5
    ) as producer:
        async with aiohttp.ClientSession() as session:
            start = SINCE
            while start < UNTIL:
                end = start + timedelta(hours=HOURS)
                query = {"key": KEY, "b": f"{start:%Y/%m/%d %H:%M:%S}", "tzo": "0"}
                query["e"] = f"{end - timedelta(seconds=1):%Y/%m/%d %H:%M:%S}"
                async with session.get(f"{url}/statistics/user/{USER}/raw/data/", params=query) as response:
                    body = orjson.loads(await response.read())
                for each in body["objects"]:
                    for kind, topic, subject, time, data in _explode(each):
                        headers = [
                            ("ce_specversion", b"1.0"),
                            ("ce_id", data["event_id"].encode()),
                            ("ce_source", b"/seemetrix/mall"),
                            ("ce_type", kind.encode()),
                            ("ce_subject", subject.encode()),
                            ("ce_time", time.encode()),
                            ("content-type", b"application/json"),
                        ]
                        key = str(each["d"]).encode()
                        await producer.send(prefix + topic, orjson.dumps(data), key=key, headers=headers)
                        sent += 1
                start = end
        await producer.flush()
    watch.report(sent)


def _explode(row: dict[str, Any]) -> Iterator[tuple[str, str, str, str, dict[str, Any]]]:
    start_at = datetime.fromisoformat(row["b"])
    start, end = _timestamp(start_at), _timestamp(datetime.fromisoformat(row["e"]))
    record = f"seemetrix/1/session/{row['d']}/{row['o']}/{start}"
    person = {"gender": _GENDERS.get(row["s"], "unknown"), "age_group": _AGES.get(row["a"], "unknown")}
    subject = f"device/{row['d']}/session/{row['o']}"
    counts = {
        "attention_count": len(row["at"]),
        "emotion_count": len(row["em"]),
        "content_view_count": len(row["v"]),
    }
    identity = f"{record}/session/0"
    origin = {"vendor": "seemetrix", "source": "mall", "record_id": record, "revision": 0}
    whole = {"event_id": identity, "type": "seemetrix.session.v1", **origin, "device_id": row["d"]}
    whole |= {"session_number": row["o"], "started_at": start, "ended_at": end, "duration_ms": row["i"]}
    whole |= {"attention_ms": sum(look["d"] for look in row["at"] if look["a"]), **person, **counts}
    whole |= {"gender_code": row["s"], "age_code": row["a"]}
    yield "seemetrix.session.v1", "seemetrix.sessions", subject, start, whole

    def part(kind: str, index: int, offset: int, duration: int, more: dict[str, Any]) -> dict[str, Any]:
        data: dict[str, Any] = {"event_id": f"{record}/{kind}/{index}", "type": f"seemetrix.{kind}.v1", **origin}
        data |= {"session_event_id": identity, "device_id": row["d"], "session_number": row["o"], "position": index}
        data |= {"started_at": _timestamp(start_at + timedelta(milliseconds=offset)), "duration_ms": duration}
        return data | {"ended_at": _timestamp(start_at + timedelta(milliseconds=offset + duration))} | person | more

    offset = 0
    for index, look in enumerate(row["at"]):
        data = part("attention", index, offset, look["d"], {"looking": look["a"] == 1})
        yield "seemetrix.attention.v1", "seemetrix.attention", subject, data["started_at"], data
        offset += look["d"]
    offset = 0
    for index, mood in enumerate(row["em"]):
        more = {"emotion": _EMOTIONS.get(mood["e"], "unknown"), "emotion_code": mood["e"]}
        data = part("emotion", index, offset, mood["d"], more)
        yield "seemetrix.emotion.v1", "seemetrix.emotions", subject, data["started_at"], data
        offset += mood["d"]
    for index, play in enumerate(row["v"]):
        data = part("content_view", index, play["s"], play["d"], {"movie_id": play["i"]})
        yield "seemetrix.content_view.v1", "seemetrix.content_views", subject, data["started_at"], data


def _timestamp(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds") + "Z"


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
