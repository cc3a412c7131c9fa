"""What Seemetrix sends becomes records: all of what it says, nothing that it does not."""

from datetime import UTC, datetime

import msgspec
import pytest

from collector.model import Record
from collector.vendors.seemetrix.wire import Attention, Mood, Play, device_ids, read, read_session, rows
from tests.vendors.seemetrix.example import DEVICES, LEFT_OUT, RAW_DATA, SESSION, record, row

BEGIN_MS = 1561979767052  # 2019-07-01T11:16:07.052Z
END_MS = 1561979802283  # 2019-07-01T11:16:42.283Z


def test_the_documents_example_is_read_field_by_field() -> None:
    [got] = read(rows(RAW_DATA))

    assert isinstance(got, Record)
    assert (BEGIN_MS, END_MS, 1561979767) == (got.start_ms, got.end_ms, got.vendor_local_s)
    session = got.payload
    assert (5315, 1331, 35231) == (session.d, session.o, session.i)
    assert (1, 0) == (session.a, session.s)
    assert datetime(2019, 7, 1, 11, 16, 7, 52000, UTC) == session.b.replace(tzinfo=session.b.tzinfo or UTC)
    assert datetime(2019, 7, 1, 11, 16, 42, 283000, UTC) == session.e.replace(tzinfo=session.e.tzinfo or UTC)
    assert (Attention(a=1, d=19334), Attention(a=0, d=1044), Attention(a=1, d=14853)) == session.at
    assert (
        Mood(e=3, d=1458),
        Mood(e=1, d=3948),
        Mood(e=0, d=1221),
        Mood(e=-1, d=1278),
        Mood(e=0, d=8748),
        Mood(e=3, d=1328),
        Mood(e=0, d=2894),
        Mood(e=3, d=1246),
        Mood(e=0, d=6661),
        Mood(e=-1, d=2020),
        Mood(e=0, d=4429),
    ) == session.em
    assert (Play(i=8482, s=0, d=35231), Play(i=9457, s=0, d=35231)) == session.v


def test_an_answer_without_sessions_has_no_rows() -> None:
    assert [] == rows(b'{"objects": []}')
    assert [] == rows(b'{"objects": [], "new": {"objects": [1]}}')


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"null", b'{"objects": null}', b'{"objects": {}}', RAW_DATA[:-1], b"<html>", b"", b"\xff\xfe"],
)
def test_what_is_no_answer_is_an_error_and_not_an_empty_answer(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        rows(body)


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("2019-07-01T11:16:07.052000", BEGIN_MS),
        ("2019-07-01T11:16:07.052", BEGIN_MS),
        ("2019-07-01 11:16:07.052", BEGIN_MS),
        ("2019-07-01T11:16:07", BEGIN_MS - 52),
        ("2019-07-01T11:16:07.052000Z", BEGIN_MS),
        ("2019-07-01T11:16:07Z", BEGIN_MS - 52),
        ("2019-07-01T11:16:07.052+00:00", BEGIN_MS),
        ("2019-07-01T14:16:07.052+03:00", BEGIN_MS),
        ("2019-07-01T06:46:07.052-04:30", BEGIN_MS),
        ("1969-12-31T23:59:59.999", -1),
        ("2019-07-01T11:16:07.052999", BEGIN_MS),
    ],
)
def test_times_are_utc_with_or_without_a_fraction_or_a_zone(written: str, ms: int) -> None:
    assert ms == record(b=written).start_ms
    assert ms == record(e=written).end_ms
    assert ms // 1000 == record(b=written).vendor_local_s


def test_an_end_before_the_begin_is_passed_on() -> None:
    got = record(e="2019-07-01T11:16:00")

    assert (BEGIN_MS, 1561979760000) == (got.start_ms, got.end_ms)


@pytest.mark.parametrize("name", ["a", "s", "i"])
@pytest.mark.parametrize(("given_value", "kept"), [(0, 0), (None, None), (LEFT_OUT, None)])
def test_zero_is_a_value_and_nothing_is_none(name: str, given_value: object, kept: int | None) -> None:
    got = getattr(record(**{name: given_value}).payload, name)

    assert (kept, type(kept)) == (got, type(got))


@pytest.mark.parametrize("name", ["a", "s"])
@pytest.mark.parametrize("code", [-1, 4, 99, 2**63 - 1, -(2**63)])
def test_codes_that_are_not_in_the_document_are_kept(name: str, code: int) -> None:
    assert code == getattr(record(**{name: code}).payload, name)


@pytest.mark.parametrize("name", ["at", "em", "v"])
@pytest.mark.parametrize("nothing", [None, [], LEFT_OUT])
def test_a_session_may_have_no_intervals(name: str, nothing: object) -> None:
    assert not getattr(record(**{name: nothing}).payload, name)


def test_an_emotion_without_a_code_is_kept() -> None:
    assert (Mood(d=5), Mood(d=6)) == record(em=[{"d": 5}, {"d": 6, "e": None}]).payload.em


def test_the_sums_may_differ_from_the_total() -> None:
    assert 1 == record(i=1).payload.i


def test_unknown_fields_change_nothing() -> None:
    plain = record()
    at = [{"a": 1, "d": 19334, "new": 1}, {"a": 0, "d": 1044}, {"a": 1, "d": 14853, "o": {"d": "x"}}]
    got = record(new={"d": 1, "b": [None]}, k="0", at=at)

    assert plain == got


# A change of each, and of the order, which is load-bearing.
CHANGES: list[dict[str, object]] = [
    {"e": "2019-07-01T11:16:42.284000"},
    {"i": 35232},
    {"i": LEFT_OUT},
    {"a": 0},
    {"a": None},
    {"s": 1},
    {"s": None},
    {"at": [{"a": 0, "d": 1044}, {"a": 1, "d": 19334}, {"a": 1, "d": 14853}]},
    {"at": [{"a": 1, "d": 19334}, {"a": 1, "d": 1044}, {"a": 1, "d": 14853}]},
    {"at": LEFT_OUT},
    {"em": [{"d": 35231, "e": 0}]},
    {"em": [{"d": 35231, "e": -1}]},
    {"em": [{"d": 35231}]},
    {"v": [{"d": 35231, "i": 8482, "s": 0}]},
    {"v": [{"d": 35231, "i": 9457, "s": 0}, {"d": 35231, "i": 8482, "s": 0}]},
    {"v": [{"d": 35231, "i": 8482, "s": 1}, {"d": 35231, "i": 9457, "s": 0}]},
    {"v": [{"d": 35230, "i": 8482, "s": 0}, {"d": 35231, "i": 9457, "s": 0}]},
]


def test_a_change_is_another_version_of_the_same_session() -> None:
    versions = [record(), *(record(**change) for change in CHANGES)]

    assert {record().key} == {version.key for version in versions}
    assert len(versions) == len({version.fingerprint for version in versions})


def test_sessions_differ_by_device_number_and_begin() -> None:
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
def test_another_way_of_writing_is_no_other_session_and_no_other_version(same: dict[str, object]) -> None:
    got = record(**same)

    assert (record().key, record().fingerprint) == (got.key, got.fingerprint)


def test_what_is_absent_and_what_is_null_are_one_version() -> None:
    names = ("a", "s", "i", "at", "em", "v")

    assert record(**dict.fromkeys(names)).fingerprint == record(**dict.fromkeys(names, LEFT_OUT)).fingerprint


def test_keys_and_fingerprints_never_change_by_themselves() -> None:
    """They lie in the ledgers of running collectors: whoever changes them raises FIELDS_VERSION."""
    got = record(at=[{"a": 1, "d": 2}], em=[{"d": 3, "e": 4}], v=[{"d": 5, "i": 6, "s": 7}])

    numbers = b"".join(number.to_bytes(8, "big") for number in (5315, 1331, BEGIN_MS * 1000))
    assert b"seemetrix.session" + numbers == got.key
    said = [END_MS, 35231, 1, 0, [[1, 2]], [[4, 3]], [[6, 7, 5]]]
    assert said == msgspec.msgpack.decode(got.fingerprint)


def test_keys_hold_numbers_of_every_size() -> None:
    most = 2**63 - 1
    sizes = [(0, 0), (0, most), (most, 0), (most, most), (most, most - 1)]

    assert len(sizes) == len({record(d=device, o=number).key for device, number in sizes})


def test_every_device_of_the_account_is_listed() -> None:
    assert {2899, 3024, 3035} == device_ids(DEVICES)


@pytest.mark.parametrize("body", [b"[]", b'{"online": 1}', b'{"online": [{}]}', b'{"online": [{"d": "1"}]}', b"<html>"])
def test_what_is_no_list_of_devices_is_an_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        device_ids(body)


def test_white_space_and_the_order_of_fields_change_nothing() -> None:
    fields = msgspec.json.decode(SESSION)
    backwards = msgspec.json.encode(dict(reversed(fields.items())))

    assert read_session(row()) == read_session(backwards) == read_session(SESSION)
