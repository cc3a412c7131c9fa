"""The messages of a session are the same whether they are encoded from its events or directly."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.cloudevents import Envelope
from collector.instants import format_ms, to_ms
from collector.model import Account, EventType, Record
from collector.pipeline.message import Origin, encoded, event_envelope
from collector.vendors.seemetrix import session_messages
from collector.vendors.seemetrix.events import explode_session
from collector.vendors.seemetrix.session_messages import encode_session
from collector.vendors.seemetrix.wire import AttentionInterval, EmotionInterval, Play, Session

TEN_YEARS_MS = 10 * 366 * 86_400_000
milliseconds = st.integers(0, 100_000) | st.integers(0, TEN_YEARS_MS)
identifiers = st.integers(0, 2**63 - 1)
codes = st.none() | st.integers(-2, 5) | st.integers(-(2**63), 2**63 - 1)
instants = st.datetimes(datetime(1900, 1, 1), datetime(2900, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - given here


def intervals(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...] | None]:
    return st.none() | st.lists(strategy, max_size=12).map(tuple)


sessions = st.builds(
    Session,
    d=identifiers,
    o=identifiers,
    b=instants,
    e=instants,
    i=st.none() | milliseconds,
    a=codes,
    s=codes,
    at=intervals(st.builds(AttentionInterval, a=st.integers(0, 1), d=milliseconds)),
    em=intervals(st.builds(EmotionInterval, d=milliseconds, e=codes)),
    v=intervals(
        st.builds(
            Play,
            d=milliseconds,
            i=codes.filter(lambda code: code is not None),
            s=st.integers(-TEN_YEARS_MS, TEN_YEARS_MS),
        )
    ),
)
origins = st.builds(
    Origin,
    account=st.just(Account("seemetrix", "632")),
    source=st.sampled_from(["mall", "müller", 'a"b']),
    stream=st.just("sessions"),
    topic_prefix=st.sampled_from(["", "tenant."]),
    schema_ids=st.just({}) | st.just({"seemetrix.emotion.v1": b"\0\1"}),
)


@given(sessions, origins, st.integers(0, 3), st.text("0123456789abcdef", min_size=32, max_size=32))
def test_the_direct_way_makes_the_messages_of_the_events(
    session: Session, origin: Origin, revision: int, digest: str
) -> None:
    record = Record(
        key=b"", start_ms=to_ms(session.b), end_ms=to_ms(session.e), fingerprint=b"", vendor_local_s=0, payload=session
    )

    def envelope_of(event_type: EventType) -> Envelope:
        return event_envelope(event_type, origin)

    events = explode_session(record, digest, revision, 632)
    expected = [encoded(event, event_envelope(event.type, origin)) for event in events]
    found = list(encode_session(record, digest, revision, 632, envelope_of))
    assert expected == found
    assert [message.value for message in expected] == [message.value for message in found]


def test_long_sessions_have_long_positions() -> None:
    """Also more than the digits of usual positions, and values beyond the varints that are made in advance."""
    start = datetime(2026, 10, 1, tzinfo=UTC)
    session = Session(d=2**63 - 1, o=1, b=start, e=start, em=(EmotionInterval(d=1, e=1),) * 1001)
    origin = Origin(Account("seemetrix", "632"), "m" * 4096, "sessions")
    record = Record(
        key=b"", start_ms=to_ms(start), end_ms=to_ms(start), fingerprint=b"", vendor_local_s=0, payload=session
    )
    expected = [
        encoded(event, event_envelope(event.type, origin)) for event in explode_session(record, "0" * 32, 0, 632)
    ]
    assert expected == list(encode_session(record, "0" * 32, 0, 632, lambda each: event_envelope(each, origin)))
    assert 1002 == len(expected)


def test_intervals_are_encoded_as_they_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of a megabyte has seventy thousand intervals: other streams must not wait for all of them."""
    start, formatted = datetime(2026, 10, 1, tzinfo=UTC), list[int]()

    def counted(unix_ms: int) -> str:
        formatted.append(unix_ms)
        return format_ms(unix_ms)

    monkeypatch.setattr(session_messages, "format_ms", counted)
    session = Session(
        d=1,
        o=1,
        b=start,
        e=start,
        at=(AttentionInterval(a=1, d=1),) * 100,
        em=(EmotionInterval(d=1, e=1),) * 100,
        v=(Play(d=1, i=1, s=0),) * 100,
    )
    origin = Origin(Account("seemetrix", "632"), "mall", "sessions")
    record = Record(
        key=b"", start_ms=to_ms(start), end_ms=to_ms(start), fingerprint=b"", vendor_local_s=0, payload=session
    )
    messages = encode_session(record, "0" * 32, 0, 632, lambda each: event_envelope(each, origin))
    for taken in range(10):
        next(messages)
        assert len(formatted) <= taken
