"""Decoding of raw data: every field, every format, keys and fingerprints."""

from datetime import UTC, datetime

import msgspec
import pytest

from collector.model import Record
from collector.steps import at_once
from collector.vendors.seemetrix import devices
from collector.vendors.seemetrix.wire import (
    FIELDS,
    AttentionInterval,
    EmotionInterval,
    Play,
    read,
    read_session,
)
from tests.rows import session_rows
from tests.vendors.seemetrix.example import ABSENT, DEVICES, RAW_DATA, SESSION, record, row

START_MS = 1561979767052  # 2019-07-01T11:16:07.052Z
END_MS = 1561979802283  # 2019-07-01T11:16:42.283Z


def test_documented_raw_data() -> None:
    [got] = read(session_rows(RAW_DATA))

    assert isinstance(got, Record)
    assert (START_MS, END_MS, 1561979767) == (got.start_ms, got.end_ms, got.vendor_local_s)
    session = got.payload
    assert (5315, 1331, 35231) == (session.d, session.o, session.i)
    assert (1, 0) == (session.a, session.s)
    assert datetime(2019, 7, 1, 11, 16, 7, 52000, UTC) == session.b.replace(tzinfo=session.b.tzinfo or UTC)
    assert datetime(2019, 7, 1, 11, 16, 42, 283000, UTC) == session.e.replace(tzinfo=session.e.tzinfo or UTC)
    assert (
        AttentionInterval(a=1, d=19334),
        AttentionInterval(a=0, d=1044),
        AttentionInterval(a=1, d=14853),
    ) == session.at
    assert (
        EmotionInterval(e=3, d=1458),
        EmotionInterval(e=1, d=3948),
        EmotionInterval(e=0, d=1221),
        EmotionInterval(e=-1, d=1278),
        EmotionInterval(e=0, d=8748),
        EmotionInterval(e=3, d=1328),
        EmotionInterval(e=0, d=2894),
        EmotionInterval(e=3, d=1246),
        EmotionInterval(e=0, d=6661),
        EmotionInterval(e=-1, d=2020),
        EmotionInterval(e=0, d=4429),
    ) == session.em
    assert (Play(i=8482, s=0, d=35231), Play(i=9457, s=0, d=35231)) == session.v


def test_a_response_without_sessions_has_no_rows() -> None:
    assert [] == list(session_rows(b'{"objects": []}'))
    assert [] == list(session_rows(b'{"objects": [], "new": {"objects": [1]}}'))


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"null", b'{"objects": null}', b'{"objects": {}}', RAW_DATA[:-1], b"<html>", b"", b"\xff\xfe"],
)
def test_an_undocumented_response_raises(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        session_rows(body)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2019-07-01T11:16:07.052000", START_MS),
        ("2019-07-01T11:16:07.052", START_MS),
        ("2019-07-01 11:16:07.052", START_MS),
        ("2019-07-01T11:16:07", START_MS - 52),
        ("2019-07-01T11:16:07.052000Z", START_MS),
        ("2019-07-01T11:16:07Z", START_MS - 52),
        ("2019-07-01T11:16:07.052+00:00", START_MS),
        ("2019-07-01T14:16:07.052+03:00", START_MS),
        ("2019-07-01T06:46:07.052-04:30", START_MS),
        ("1969-12-31T23:59:59.999", -1),
        ("2019-07-01T11:16:07.052999", START_MS),
    ],
)
def test_times_are_utc_in_every_documented_format(text: str, ms: int) -> None:
    assert ms == record(b=text).start_ms
    assert ms == record(e=text).end_ms
    assert ms // 1000 == record(b=text).vendor_local_s


def test_an_end_before_the_start_is_kept() -> None:
    got = record(e="2019-07-01T11:16:00")

    assert (START_MS, 1561979760000) == (got.start_ms, got.end_ms)


@pytest.mark.parametrize("name", ["a", "s", "i"])
@pytest.mark.parametrize(("value", "kept"), [(0, 0), (None, None), (ABSENT, None)])
def test_zero_is_kept_and_missing_is_none(name: str, value: object, kept: int | None) -> None:
    got = getattr(record(**{name: value}).payload, name)

    assert (kept, type(kept)) == (got, type(got))


@pytest.mark.parametrize("name", ["a", "s"])
@pytest.mark.parametrize("code", [-1, 4, 99, 2**63 - 1, -(2**63)])
def test_undocumented_codes_are_kept(name: str, code: int) -> None:
    assert code == getattr(record(**{name: code}).payload, name)


@pytest.mark.parametrize("name", ["at", "em", "v"])
@pytest.mark.parametrize("empty", [None, [], ABSENT])
def test_a_session_may_have_no_intervals(name: str, empty: object) -> None:
    assert not getattr(record(**{name: empty}).payload, name)


def test_an_emotion_without_a_code_is_kept() -> None:
    assert (EmotionInterval(d=5), EmotionInterval(d=6)) == record(em=[{"d": 5}, {"d": 6, "e": None}]).payload.em


def test_the_duration_may_differ_from_the_sum_of_intervals() -> None:
    assert 1 == record(i=1).payload.i


def test_unknown_fields_are_ignored() -> None:
    plain = record()
    at = [{"a": 1, "d": 19334, "new": 1}, {"a": 0, "d": 1044}, {"a": 1, "d": 14853, "o": {"d": "x"}}]
    got = record(new={"d": 1, "b": [None]}, k="0", at=at)

    assert plain == got


def test_unknown_fields_are_found_in_sessions_and_their_intervals() -> None:
    assert () == FIELDS.sample(session_rows(RAW_DATA)).unknown
    assert ("at[].new", "k") == FIELDS.sample([row(at=[{"a": 1, "d": 2, "new": 1}], k="0")]).unknown


# A change of each field, and of the order of intervals, which is significant.
CHANGES: list[dict[str, object]] = [
    {"e": "2019-07-01T11:16:42.284000"},
    {"i": 35232},
    {"i": ABSENT},
    {"a": 0},
    {"a": None},
    {"s": 1},
    {"s": None},
    {"at": [{"a": 0, "d": 1044}, {"a": 1, "d": 19334}, {"a": 1, "d": 14853}]},
    {"at": [{"a": 1, "d": 19334}, {"a": 1, "d": 1044}, {"a": 1, "d": 14853}]},
    {"at": ABSENT},
    {"em": [{"d": 35231, "e": 0}]},
    {"em": [{"d": 35231, "e": -1}]},
    {"em": [{"d": 35231}]},
    {"v": [{"d": 35231, "i": 8482, "s": 0}]},
    {"v": [{"d": 35231, "i": 9457, "s": 0}, {"d": 35231, "i": 8482, "s": 0}]},
    {"v": [{"d": 35231, "i": 8482, "s": 1}, {"d": 35231, "i": 9457, "s": 0}]},
    {"v": [{"d": 35230, "i": 8482, "s": 0}, {"d": 35231, "i": 9457, "s": 0}]},
]


def test_a_changed_field_changes_the_fingerprint_but_not_the_key() -> None:
    versions = [record(), *(record(**change) for change in CHANGES)]

    assert {record().key} == {version.key for version in versions}
    assert len(versions) == len({version.fingerprint for version in versions})


def test_device_number_and_start_are_the_key() -> None:
    others: list[dict[str, object]] = [
        {"d": 5316},
        {"o": 1332},
        {"b": "2019-07-01T11:16:07.053000"},
        {"b": "2019-07-01T11:16:07.052001"},
        {"d": 1331, "o": 5315},
    ]

    assert 1 + len(others) == len({record().key, *(record(**other).key for other in others)})


@pytest.mark.parametrize(
    "same",
    [
        {"b": "2019-07-01T11:16:07.052", "e": "2019-07-01T11:16:42.283Z"},
        {"b": "2019-07-01T14:16:07.052+03:00", "e": "2019-07-01T13:16:42.283+02:00"},
        {"d": 5315.0, "o": 1331.0, "i": 35231.0, "a": 1.0, "s": 0.0},
        {"at": [{"a": 1.0, "d": 19334.0}, {"a": 0.0, "d": 1044}, {"a": 1, "d": 14853.0}]},
        {"v": [{"d": 35231.0, "i": 8482.0, "s": -0.0}, {"d": 35231, "i": 9457, "s": 0}]},
    ],
)
def test_equivalent_rows_have_equal_keys_and_fingerprints(same: dict[str, object]) -> None:
    got = record(**same)

    assert (record().key, record().fingerprint) == (got.key, got.fingerprint)


def test_absent_and_null_fields_have_equal_fingerprints() -> None:
    names = ("a", "s", "i", "at", "em", "v")

    assert record(**dict.fromkeys(names)).fingerprint == record(**dict.fromkeys(names, ABSENT)).fingerprint


def test_keys_and_fingerprints_are_stable_across_releases() -> None:
    """Ledgers of running collectors contain them. A change needs another FIELDS_VERSION."""
    got = record(at=[{"a": 1, "d": 2}], em=[{"d": 3, "e": 4}], v=[{"d": 5, "i": 6, "s": 7}])

    numbers = b"".join(number.to_bytes(8, "big") for number in (5315, 1331, START_MS * 1000))
    assert b"seemetrix.session" + numbers == got.key
    fields = [END_MS, 35231, 1, 0, [[1, 2]], [[4, 3]], [[6, 7, 5]]]
    assert fields == msgspec.msgpack.decode(got.fingerprint)


def test_keys_hold_numbers_of_every_size() -> None:
    most = 2**63 - 1
    sizes = [(0, 0), (0, most), (most, 0), (most, most), (most, most - 1)]

    assert len(sizes) == len({record(d=device, o=number).key for device, number in sizes})


def test_device_ids_contain_every_group() -> None:
    assert ({2899, 3024, 3035}, True) == at_once(devices.decode_ids(DEVICES))


@pytest.mark.parametrize("rows", ['[{"d": 5}, {}]', '[{"d": 5, "n": 7}, {"d": "6"}]', 'null, "new": [{"d": 5}]'])
def test_ids_are_not_all_while_a_device_or_a_list_cannot_be_read(rows: str) -> None:
    body = f'{{"online": {rows}, "offline": [], "frozen": [{{"d": 7}}]}}'.encode()

    assert ({5, 7} - (set() if "[" == rows[0] else {5}), False) == at_once(devices.decode_ids(body))


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"online": 1}',
        b'{"online": 1, "offline": [], "frozen": []}',
        b'{"online": [{}], "offline": [], "frozen": []}',
        b"<html>",
    ],
)
def test_an_undocumented_list_of_devices_raises(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        at_once(devices.decode_ids(body))


def test_whitespace_and_field_order_do_not_matter() -> None:
    fields = msgspec.json.decode(SESSION)
    backwards = msgspec.json.encode(dict(reversed(fields.items())))

    assert read_session(row()) == read_session(backwards) == read_session(SESSION)
