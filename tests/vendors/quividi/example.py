"""The examples of finest viewers in the vendor's document, as strict JSON, and variants of them."""

from zoneinfo import ZoneInfo

import msgspec

from collector.model import Record, Reject
from collector.vendors.quividi.viewers import LocatedViewer, read_viewer

PARIS = ZoneInfo("Europe/Paris")

# The document's curl examples, without trailing commas.
STARTED = b'{"state": "started"}'
IN_PROGRESS = b'{"state": "in_progress", "creation_date": "2016-08-25 15:22:35"}'

# The document's finest viewers of a PRO account.
PRO = (
    b"""{
        "happy":null, "dwell_time":41, "gender":1, "age":3, "age_value":null, "neutral":null, "unhappy":null,
        "very_unhappy":null, "attention_time":16, "period_start":"2018-01-29T00:00:27", "glasses":null,
        "location_id":8264, "very_happy":null, "mustache":null, "beard":null
    }""",
    b"""{
        "happy":null, "dwell_time":54, "gender":1, "age":2, "age_value":null, "neutral":null, "unhappy":null,
        "very_unhappy":null, "attention_time":39, "period_start":"2018-01-29T00:03:57", "glasses":null,
        "location_id":8264, "very_happy":null, "mustache":null, "beard":null
    }""",
)
PRO_RESPONSE = b'{"state":"finished", "data":[%b, %b], "creation_date":"2018-01-29 09:24:18"}' % PRO

# The document's finest viewers of an expert account.
EXPERT = (
    b"""{
        "happy":0.0, "dwell_time":24, "gender":2, "age":2, "age_value":19, "neutral":66.66666666666666, "unhappy":0.0,
        "very_unhappy":0.0, "attention_time":8, "period_start":"2018-01-29T01:28:52", "glasses":1, "location_id":8866,
        "very_happy":33.333333333333336, "mustache":1, "beard":1
    }""",
    b"""{
        "happy":49.80392156862745, "dwell_time":37, "gender":1, "age":3, "age_value":57,
        "neutral":0.39215686274509665, "unhappy":49.80392156862745, "very_unhappy":0.0, "attention_time":3,
        "period_start":"2018-01-29T00:25:18", "glasses":3, "location_id":8866, "very_happy":0.0, "mustache":2,
        "beard":2
    }""",
)
EXPERT_RESPONSE = b'{"state":"finished", "data":[%b, %b], "creation_date":"2018-01-29 09:18:53"}' % EXPERT

# The document's second viewer with contents: its start is `start_time`, and attention exceeds the dwell time.
APC = b"""{
    "beard":1, "dwell_time":10, "start_time":"2018-01-14T09:21:54", "gender":2, "age":3, "age_value":40,
    "neutral":33.33333333333333, "mustache":1, "unhappy":0.0, "attention_time":5, "location_id":38918, "glasses":1,
    "very_unhappy":0.0, "very_happy":0.0,
    "contents":[
        {
            "campaign_id":null, "dwell_time":15, "unhappy_time":0, "happy_time":542, "very_happy_time":0,
            "app_id":"my_app_id", "very_unhappy_time":0, "attention_time":542,
            "content_id":"my_very_own_content_id", "neutral_time":0
        }
    ],
    "happy":66.66666666666667
}"""

ABSENT = "(absent)"
"""As the value of a field: the field is absent."""


def row(**changes: object) -> bytes:
    """The first expert viewer with changed fields."""
    fields = msgspec.json.decode(EXPERT[0]) | changes
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not ABSENT})


def record_of(raw: bytes, zone: ZoneInfo = PARIS) -> Record[LocatedViewer]:
    got = read_viewer(raw, zone)
    assert isinstance(got, Record), got
    return got


def record(**changes: object) -> Record[LocatedViewer]:
    return record_of(row(**changes))


def reject(**changes: object) -> Reject:
    got = read_viewer(row(**changes), PARIS)
    assert isinstance(got, Reject), got
    return got


def finished_export(*rows: bytes) -> bytes:
    """A finished export of these rows."""
    return b'{"state":"finished","data":[%b]}' % b",".join(rows)
