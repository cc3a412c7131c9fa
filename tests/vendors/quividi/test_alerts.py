"""An alert is one record from its raising to its end; its two clocks are published and never interpreted."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from collector.instants import format_ms
from collector.model import Record, Reject
from collector.steps import at_once
from collector.vendors.quividi import alerts, status_rows
from collector.vendors.quividi.alerts import KnownAlert
from tests.rows import value_of
from tests.vendors.quividi.status import ALERTS, SEEN_MS, alert, read_alerts

USER = "ann/ex@example.com"
HOUR_MS = 3_600_000


def record(raw: bytes, seen_ms: int = SEEN_MS, ignored: Counter[str] | None = None) -> Record[KnownAlert]:
    got = alerts.read_one(raw, seen_ms, ignored)
    assert isinstance(got, Record), got
    return got


def value(raw: bytes, revision: int = 0, seen_ms: int = SEEN_MS) -> dict[str, Any]:
    [event] = alerts.explode(record(raw, seen_ms), "d" * 32, revision, USER)
    return value_of(event)


def test_every_field_of_an_alert_is_published() -> None:
    [raised, _] = read_alerts(ALERTS)
    assert isinstance(raised, Record)
    [event] = alerts.explode(raised, "d" * 32, 0, USER)

    assert ("d" * 32 + "/alert/0", "alert/90017", "8264") == (event.id, event.subject, event.key)
    assert format_ms(SEEN_MS) == event.time
    assert {
        "event_id": "d" * 32 + "/alert/0",
        "type": "quividi.alert.v1",
        "vendor": "quividi",
        "source": "mall",
        "record_id": "quividi/ann%2Fex%40example.com/alert/90017",
        "revision": 0,
        "alert_id": 90017,
        "network_id": 7,
        "site_id": 178,
        "location_id": 8264,
        "box_id": 5011,
        "vendor_time": "2026-10-31T23:40:00",
        "host_time": "2026-11-01T09:40:02",
        "seen_at": "2026-11-01T00:00:00.000Z",
        "kind": "input_or_licence_error",
        "alert_type": 3,
        "label": "Input or license errors",
        "status": "raised",
        "status_text": None,
        "statuses": ["input_lost", "processing"],
        "extra_data": "Processing,Input Lost",
        "linked_alert_id": 88123,
    } == value_of(event)


def test_what_the_vendor_does_not_send_is_null() -> None:
    fields = {"id": 1, "alert_type": 2, "status": None, "timestamp": "2026-10-31T23:40:00"}
    published = value(msgspec.json.encode(fields))

    assert {"label", "extra_data", "statuses", "network_id", "site_id", "location_id", "box_id", "host_time"} < {
        name for name, each in published.items() if each is None
    }
    assert ("unknown", None, None) == (published["status"], published["status_text"], published["linked_alert_id"])


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, "upload_period"),
        (2, "watchers_rate"),
        (3, "input_or_licence_error"),
        (4, "daily_watchers"),
        (5, "time_drift"),
        (6, "fingerprint_change"),
        (7, "upload_error"),
        (8, "refused_events"),
        (9, "session_id"),
        (10, "timezone_change"),
        (11, "camera_not_found"),
        (12, "unsupported_option"),
        (13, "low_fps"),
        (0, "unknown"),
        (14, "unknown"),
    ],
)
def test_a_type_has_a_word_beside_its_number(code: int, kind: str) -> None:
    published = value(alert(alert_type=code, label="renamed"))
    assert (kind, code, "renamed") == (published["kind"], published["alert_type"], published["label"])


@pytest.mark.parametrize(
    ("text", "status", "kept"),
    [
        ("raised", "raised", None),
        ("terminated", "terminated", None),
        ("acknowledged", "unknown", "acknowledged"),
        (None, "unknown", None),
    ],
)
def test_another_status_is_unknown_beside_its_text(text: str | None, status: str, kept: str | None) -> None:
    published = value(alert(status=text))
    assert (status, kept) == (published["status"], published["status_text"])


@pytest.mark.parametrize(
    ("code", "text", "statuses"),
    [
        (3, "Waiting Input", ["waiting_input"]),
        (3, " License Error ,Black Input,,Black Input", ["black_input", "license_error"]),
        (3, "Something New", ["something_new"]),
        (3, "", []),
        (3, None, None),
        (1, "Processing,Idle", None),
    ],
)
def test_only_type_3_has_a_set_of_states(code: int, text: str | None, statuses: list[str] | None) -> None:
    published = value(alert(alert_type=code, extra_data=text))
    assert (statuses, text or None) == (published["statuses"], published["extra_data"])


@pytest.mark.parametrize(
    ("location", "site", "key"), [(8264, 178, "8264"), (None, 178, "178"), (None, None, "user/ann%2Fex%40example.com")]
)
def test_the_key_is_the_location_or_the_site_or_the_user(location: int | None, site: int | None, key: str) -> None:
    [event] = alerts.explode(record(alert(location=location, site=site)), "d" * 32, 0, USER)
    assert key == event.key


def test_the_key_of_the_ledger_is_the_id_alone() -> None:
    one, other = record(alert()), record(alert(id=90018))
    changed = record(alert(status="terminated", location=1, site=2, alert_type=1, extra_data="x"))
    assert one.key == changed.key != other.key


@pytest.mark.parametrize(
    "change",
    [
        {"status": "terminated"},
        {"alert_type": 4},
        {"extra_data": "Processing"},
        {"location": 8866},
        {"box": None},
        {"host_timestamp": "2026-11-01T09:41:00"},
        {"linked_alerthistory": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_is_a_revision(change: dict[str, object]) -> None:
    assert record(alert()).fingerprint != record(alert(**change)).fingerprint


@pytest.mark.parametrize(
    "change",
    [{"label": "Fehler am Eingang"}, {"extra_data": "Input Lost,Processing"}, {"new_field": 1}],
    ids=lambda change: next(iter(change)),
)
def test_a_new_text_for_a_type_or_another_order_of_a_set_is_no_revision(change: dict[str, object]) -> None:
    assert record(alert()).fingerprint == record(alert(**change)).fingerprint


def test_a_second_request_that_returns_the_same_alert_returns_an_equal_record() -> None:
    one, later = record(alert()), record(alert(), SEEN_MS + HOUR_MS)
    assert (one.key, one.fingerprint, one.vendor_local_s) == (later.key, later.fingerprint, later.vendor_local_s)


@pytest.mark.parametrize("offset_h", [-12, -8, 0, 5.5, 14])
def test_whatever_the_clock_is_an_alert_after_since_does_not_start_before_since(offset_h: float) -> None:
    since_ms, raised_ms, seen_ms = SEEN_MS, SEEN_MS + 1000, SEEN_MS + HOUR_MS
    local = format_ms(raised_ms + round(offset_h * HOUR_MS)).removesuffix(".000Z")
    got = record(alert(timestamp=local), seen_ms)
    assert since_ms <= got.start_ms <= seen_ms
    assert got.start_ms == got.end_ms
    assert abs(got.vendor_local_s * 1000 - raised_ms) <= status_rows.MAX_CLOCK_OFFSET.total_seconds() * 1000


def test_an_old_alert_starts_when_it_was_raised_and_not_when_it_was_seen() -> None:
    got = record(alert(timestamp="2026-10-01T00:00:00"))
    assert "2026-10-01T12:00:00.000Z" == format_ms(got.start_ms)


def test_a_host_clock_ten_hours_ahead_or_unreadable_costs_nothing_else() -> None:
    ignored = Counter[str]()
    got = record(alert(host_timestamp="yesterday"), ignored=ignored)
    assert (None, {"host_timestamp": 1}) == (got.payload.host_time, ignored)
    assert "2026-11-01T09:40:02" == record(alert()).payload.host_time


@pytest.mark.parametrize("form", ["2026-10-31T23:40:00", "2026-10-31 23:40:00"])
def test_times_are_published_in_iso_form(form: str) -> None:
    assert "2026-10-31T23:40:00" == value(alert(timestamp=form))["vendor_time"]


@pytest.mark.parametrize(
    "change",
    [
        {"id": ...},
        {"id": "x"},
        {"id": -1},
        {"alert_type": ...},
        {"alert_type": "three"},
        {"status": ...},
        {"timestamp": ...},
        {"timestamp": None},
        {"timestamp": "2026-10-31"},
        {"timestamp": "2026-10-31T23:40:00Z"},
        {"timestamp": "2026-11-02T00:00:01"},
        {"timestamp": "9999-12-31T23:59:59"},
    ],
    ids=str,
)
def test_an_alert_without_identity_type_status_or_time_is_a_dead_letter_of_its_place(change: dict[str, object]) -> None:
    got = alerts.read_one(alert(**change), SEEN_MS)
    assert isinstance(got, Reject)
    assert ("8264", alert(**change)) == (got.key, got.payload)


def test_a_dead_letter_has_only_plain_values_of_the_fields_that_are_read() -> None:
    secret = "rtsp://admin:hunter2@10.0.0.7"
    got = alerts.read_one(alert(id="x", camera=secret, settings={"url": secret}, label=[secret]), SEEN_MS)
    assert isinstance(got, Reject)
    assert b'"alert_type":3' in got.payload
    assert b"hunter2" not in got.payload


@pytest.mark.parametrize("field", ["label", "extra_data", "network", "site", "location", "box", "linked_alerthistory"])
def test_a_side_field_in_another_form_costs_only_itself(field: str) -> None:
    ignored = Counter[str]()
    record(alert(**{field: {"nested": 1}}), ignored=ignored)
    assert {field: 1} == ignored


def test_ids_and_types_may_be_whole_floats() -> None:
    assert record(alert()) == record(alert().replace(b":90017,", b":90017.0,").replace(b":8264,", b":8264.0,"))


def test_a_malformed_row_costs_no_other_row() -> None:
    found = read_alerts(b"[" + alert() + b',{"id": },' + alert(id=2) + b"]")
    assert [Record, Reject, Record] == [type(each) for each in found]


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"results": []}', b'"x"', b"", b"<html>"])
def test_anything_but_a_list_is_an_error_and_not_an_empty_list(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        at_once(status_rows.decode(body))


def test_an_empty_list_has_no_alerts() -> None:
    assert [] == read_alerts(b"[]")
