"""The example of raw data in the vendor's document, as strict JSON, and variants of its session."""

import msgspec

from collector.model import Record, Reject
from collector.vendors.seemetrix.wire import Session, read_session

# The document's session, without its comments.
SESSION = b"""{
    "a": 1,
    "at": [{"a": 1, "d": 19334}, {"a": 0, "d": 1044}, {"a": 1, "d": 14853}],
    "b": "2019-07-01T11:16:07.052000",
    "d": 5315,
    "e": "2019-07-01T11:16:42.283000",
    "em": [
        {"d": 1458, "e": 3},
        {"d": 3948, "e": 1},
        {"d": 1221, "e": 0},
        {"d": 1278, "e": -1},
        {"d": 8748, "e": 0},
        {"d": 1328, "e": 3},
        {"d": 2894, "e": 0},
        {"d": 1246, "e": 3},
        {"d": 6661, "e": 0},
        {"d": 2020, "e": -1},
        {"d": 4429, "e": 0}
    ],
    "i": 35231,
    "o": 1331,
    "s": 0,
    "v": [{"d": 35231, "i": 8482, "s": 0}, {"d": 35231, "i": 9457, "s": 0}]
}"""
RAW_DATA = b'{"objects": [' + SESSION + b"]}"

# The document's list of devices, shortened.
DEVICES = b"""{
    "frozen": [{"acl": [436, 632], "created": "Fri, 08 Sep 2017 04:35:12 GMT", "d": 3035, "f": 1,
                "ip": "87.249.208.18", "k": "9909e1d0933740f0811913647e3662e8", "n": "Device #1", "o": 0}],
    "frozen_total": 1,
    "offline": [{"acl": [632, 436], "d": 2899, "f": 0, "ip": "-", "k": "a4424dad66f144cb818823f90a40f35b", "o": 0}],
    "offline_total": 1,
    "online": [{"acl": [436, 632], "d": 3024, "f": 0, "k": "23f69c44cd964dcc9caac2d08217705d", "o": 1, "sid": 2}],
    "online_total": 1
}"""

ABSENT = object()
"""As the value of a field: the field is absent."""


def row(**changes: object) -> bytes:
    """The document's session with changed fields."""
    fields = msgspec.json.decode(SESSION) | changes
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not ABSENT})


def record(**changes: object) -> Record[Session]:
    got = read_session(row(**changes))
    assert isinstance(got, Record), got
    return got


def reject(**changes: object) -> Reject:
    got = read_session(row(**changes))
    assert isinstance(got, Reject), got
    return got
