"""A monitoring message is one record of a box; what it says of its camera is never published, nor kept."""

from collections import Counter
from typing import Any

import pytest

from collector.model import Account, Record, Reject, Window
from collector.pipeline.message import Origin, dead_letter_message
from collector.vendors.quividi import monitoring
from collector.vendors.quividi.monitoring import KnownMessage
from tests.rows import value_of
from tests.simulated import START
from tests.vendors.quividi.status import MESSAGES, SEEN_MS, message, read_messages

USER = "ann"
CAMERA = "10.0.0.7"


def record(raw: bytes, ignored: Counter[str] | None = None) -> Record[KnownMessage]:
    got = monitoring.read_one(raw, SEEN_MS, ignored)
    assert isinstance(got, Record), got
    return got


def value(raw: bytes) -> dict[str, Any]:
    [event] = monitoring.explode(record(raw), "d" * 32, 0, USER)
    return value_of(event)


def test_every_field_of_a_message_is_published_but_the_camera() -> None:
    [first, _] = read_messages(MESSAGES)
    assert isinstance(first, Record)
    [event] = monitoring.explode(first, "d" * 32, 0, USER)

    assert ("box/5011", "8264", "2026-11-01T00:00:00.000Z") == (event.subject, event.key, event.time)
    assert {
        "event_id": "d" * 32 + "/monitoring_message/0",
        "type": "quividi.monitoring_message.v1",
        "vendor": "quividi",
        "source": "mall",
        "record_id": "quividi/ann/box/5011/monitoring_message/2026-10-31T23:45:00/2026-11-01T09:45:01",
        "revision": 0,
        "box_id": 5011,
        "location_id": 8264,
        "vendor_time": "2026-10-31T23:45:00",
        "host_time": "2026-11-01T09:45:01",
        "seen_at": "2026-11-01T00:00:00.000Z",
        "status": "running",
        "vr_status": ["input_lost", "processing"],
        "vr_version": "5.3.1",
        "cpu_load": 41.0,
        "fps": 24.9,
        "avg_luma_percent": 38.0,
        "input_lost_count": 2,
        "resolution_width_px": 1280,
        "resolution_height_px": 720,
    } == value_of(event)
    assert CAMERA not in str(first)


@pytest.mark.parametrize(
    ("field", "wire", "published"),
    [
        ("fps", "24.9", {"fps": 24.9}),
        ("fps", "25", {"fps": 25.0}),
        ("fps", 25, {"fps": 25.0}),
        ("fps", "-", {"fps": None}),
        ("fps", "", {"fps": None}),
        ("avg_luma", "38.0%", {"avg_luma_percent": 38.0}),
        ("avg_luma", "38.0 %", {"avg_luma_percent": 38.0}),
        ("avg_luma", 38, {"avg_luma_percent": 38.0}),
        ("avg_luma", "-", {"avg_luma_percent": None}),
        ("resolution", "1280x720", {"resolution_width_px": 1280, "resolution_height_px": 720}),
        ("resolution", "0x0", {"resolution_width_px": 0, "resolution_height_px": 0}),
        ("resolution", "", {"resolution_width_px": None, "resolution_height_px": None}),
        ("vr_status", "", {"vr_status": []}),
        ("vr_status", None, {"vr_status": None}),
        ("status", "", {"status": None}),
        ("nb_inputlost", 0, {"input_lost_count": 0}),
        ("cpu_load", 41.5, {"cpu_load": 41.5}),
        ("location", None, {"location_id": None}),
    ],
)
def test_texts_become_numbers(field: str, wire: object, published: dict[str, object]) -> None:
    got = value(message(**{field: wire}))
    assert published == {name: got[name] for name in published}


@pytest.mark.parametrize(
    ("field", "wire"),
    [
        ("fps", "fast"),
        ("fps", "nan"),
        ("fps", "1e999"),
        ("fps", "1_0"),
        ("avg_luma", "38,0%"),
        ("resolution", "big"),
        ("resolution", "1280"),
        ("nb_inputlost", 1.5),
        ("cpu_load", "41%"),
        ("vr_status", ["Processing"]),
        ("location", "8264"),
    ],
)
def test_what_cannot_be_understood_is_null_and_counted(field: str, wire: object) -> None:
    ignored = Counter[str]()
    record(message(**{field: wire}), ignored)
    assert {field: 1} == ignored


@pytest.mark.parametrize("change", [{"box": 5013}, {"timestamp": "2026-10-31T23:45:01"}, {"host_timestamp": None}])
def test_the_identity_is_the_box_and_both_times(change: dict[str, object]) -> None:
    assert record(message()).key != record(message(**change)).key


def test_a_number_in_another_form_is_no_revision_and_another_number_is_one() -> None:
    one = record(message())
    assert one == record(message(raw_camera_config="usb:1"))
    assert one.fingerprint == record(message(fps=24.9, cpu_load=41.0, vr_status="Input Lost, Processing")).fingerprint
    assert one.fingerprint != record(message(nb_inputlost=3)).fingerprint


@pytest.mark.parametrize("location", [None, ...])
def test_a_message_without_a_location_has_the_key_of_the_user(location: object) -> None:
    [event] = monitoring.explode(record(message(location=location)), "d" * 32, 0, USER)
    assert "user/ann" == event.key


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (message(box=...), b'"timestamp"'),
        (message(timestamp="soon"), b'"box":5011'),
        (message(host_timestamp="soon"), b'"box":5011'),
        (message(timestamp="2027-01-01T00:00:00"), b'"box":5011'),
        (message(box=None, camera={"url": CAMERA}), b'"timestamp"'),
        (message(box=None, input_url=f"rtsp://admin:secret@{CAMERA}"), b'"timestamp"'),
        (message(box=None, vr_status=[f"rtsp://{CAMERA}"]), b'"timestamp"'),
        (message().replace(b'"box":5011', b'"box":'), b""),
        (b"[" + message() + b"]", b""),
    ],
    ids=[
        *("no box", "no time", "no host time", "far ahead"),
        *("another field", "another text", "a list", "no JSON", "no object"),
    ],
)
def test_a_dead_letter_has_no_camera(raw: bytes, kept: bytes) -> None:
    got = monitoring.read_one(raw, SEEN_MS)
    assert isinstance(got, Reject)
    origin = Origin(Account("quividi", USER), "airport", "monitoring")
    letter = dead_letter_message(got, origin, window=Window(START, START), seen_at=START, reason="malformed")
    assert kept in got.payload
    for secret in (CAMERA, "raw_camera_config", "rtsp"):
        assert secret.encode() not in letter.value
