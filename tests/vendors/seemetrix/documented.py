"""The other examples of the vendor's document, as strict JSON: only comments are removed."""

DEVICES = b"""{
    "frozen": [{
        "acl": [436, 632], "created": "Fri, 08 Sep 2017 04:35:12 GMT", "d": 3035, "f": 1, "ip": "87.249.208.18",
        "k": "9909e1d0933740f0811913647e3662e8", "modified": "Fri, 15 Sep 2017 07:36:38 GMT", "n": "Device #1",
        "o": 0, "or": 0, "s": "bc862d09e7cb682c0d7e923d8c751d16", "sid": 2
    }],
    "frozen_total": 1,
    "offline": [{
        "acl": [632, 436], "created": "Thu, 27 Jul 2017 04:29:20 GMT", "d": 2899, "f": 0, "ip": "-",
        "k": "a4424dad66f144cb818823f90a40f35b", "modified": "Thu, 27 Jul 2017 04:29:20 GMT", "n": "Device #5",
        "o": 0, "or": 0, "sid": 0
    }],
    "offline_total": 1,
    "online": [{
        "acl": [436, 632], "created": "Thu, 07 Sep 2017 10:40:21 GMT", "d": 3024, "f": 0, "ip": "87.249.208.18",
        "k": "23f69c44cd964dcc9caac2d08217705d", "modified": "Fri, 15 Sep 2017 07:24:12 GMT", "n": "Device #3",
        "o": 1, "or": 0, "s": "ca514a44ddc4a77afff71541564fd958", "sid": 2
    }],
    "online_total": 1
}"""

COUNTERS = b"""{
    "avg_duration": 6.38, "dev_num": 3, "movies_num": 0, "online_device_num": 1, "usr_cur_day": 8, "usr_cur_hour": 1,
    "usr_cur_month": 324, "usr_num": 324
}"""

DEVICE_STATISTICS = b"""{
    "begin": "2017/09/08 11:00:00", "begin_iso": "2017-09-08T11:00:00+01:00",
    "end": "2017/09/15 11:00:00", "end_iso": "2017-09-15T11:00:00+01:00",
    "max_date": "2017/09/15 10:00:00", "min_date": "2017/09/15 08:00:00",
    "objects": [
        {"i": {"d": 15, "h": 8, "m": 9, "y": 2017}, "t": 7},
        {"i": {"d": 15, "h": 9, "m": 9, "y": 2017}, "t": 0},
        {"i": {"d": 15, "h": 10, "m": 9, "y": 2017}, "t": 1}
    ],
    "total": 3,
    "total_counters": {
        "average_duration": 3.29, "female": 8, "kid": 0, "male": 0, "middle": 7, "middle2": 1, "movies_num": 0,
        "old": 0, "total": 8, "undefined_age": 0, "undefined_gender": 0
    }
}"""

USER_STATISTICS = b"""{
    "begin": "2017/09/12 12:00:00", "begin_iso": "2017-09-12T12:00:00+00:00",
    "end": "2017/09/14 12:00:00", "end_iso": "2017-09-14T12:00:00+00:00",
    "max_date": "2017/09/15 09:00:00", "min_date": "2017/09/08 04:00:00",
    "objects": [
        {"i": {"d": 12, "h": 12, "m": 9, "y": 2017}, "t": 3},
        {"i": {"d": 12, "h": 16, "m": 9, "y": 2017}, "t": 6},
        {"i": {"d": 12, "h": 17, "m": 9, "y": 2017}, "t": 6},
        {"i": {"d": 13, "h": 2, "m": 9, "y": 2017}, "t": 7},
        {"i": {"d": 13, "h": 3, "m": 9, "y": 2017}, "t": 12},
        {"i": {"d": 13, "h": 4, "m": 9, "y": 2017}, "t": 15},
        {"i": {"d": 13, "h": 5, "m": 9, "y": 2017}, "t": 18},
        {"i": {"d": 13, "h": 6, "m": 9, "y": 2017}, "t": 12}
    ],
    "total": 8,
    "total_counters": {
        "average_duration": 7.81, "female": 68, "kid": 0, "male": 11, "middle": 57, "middle2": 22, "movies_num": 0,
        "old": 0, "total": 79, "undefined_age": 0, "undefined_gender": 0
    }
}"""

TREE_AS_LIST = b"""{
    "begin": "2016/12/01 00:00:00",
    "data": {
        "n": "root",
        "o": [{"n": "1842", "o": [], "ots": 64.0, "otsd": 1360572, "t": "device", "v": 64.0, "vd": 1360572}],
        "ots": 64.0, "otsd": 1360572, "t": "root", "v": 64.0, "vd": 1360572
    },
    "end": "2017/06/01 00:00:00", "levels": ["devices"], "obj_in_page": 10, "ok": 1, "page": 0, "pages_total": 1,
    "path": "devices", "user_id": 371
}"""

TREE_AS_OBJECT = b"""{
    "begin": "2016/12/01 00:00:00",
    "data": {
        "n": "root",
        "o": {"1842": {"n": "1842", "o": {}, "ots": 64.0, "otsd": 1360572, "t": "device", "v": 64.0, "vd": 1360572}},
        "ots": 64.0, "otsd": 1360572, "t": "root", "v": 64.0, "vd": 1360572
    },
    "end": "2017/06/01 00:00:00", "levels": ["devices"], "obj_in_page": 10, "ok": 1, "page": 0, "pages_total": 1,
    "path": "devices", "user_id": 371
}"""

FULL_TREE = b"""{
    "begin": "2016/12/01 00:00:00",
    "data": {
        "n": "root",
        "o": [{
            "n": "1842",
            "o": [{
                "n": "05",
                "o": [
                    {"n": "angry", "o": [], "t": "emotion", "v": 0, "vd": 0},
                    {"n": "happy", "o": [], "t": "emotion", "v": 0, "vd": 0},
                    {"n": "neutral", "o": [], "t": "emotion", "v": 63, "vd": 1359042},
                    {"n": "surprise", "o": [], "t": "emotion", "v": 0, "vd": 0},
                    {"n": "undefined", "o": [], "t": "emotion", "v": 0, "vd": 0}
                ],
                "ots": 63, "otsd": 1359042, "t": "date", "v": 63, "vd": 1359042
            }],
            "ots": 63, "otsd": 1359042, "t": "device", "v": 63, "vd": 1359042
        }],
        "ots": 63, "otsd": 1359042, "t": "root", "v": 63, "vd": 1359042
    },
    "dt_format": "MM", "end": "2017/06/01 00:00:00", "levels": ["devices", "dates", "emotions"], "obj_in_page": 10,
    "ok": 1, "page": 0, "pages_total": 1, "path": "devices/dates/emotions", "user_id": 371
}"""


def tree(nodes: bytes, **also: bytes) -> bytes:
    """A response with the document's shorter examples, which are the `o` of a root."""
    extra = b"".join(b', "%s": %s' % (name.encode(), value) for name, value in also.items())
    return b'{"data": {"n": "root", "t": "root", "v": 1, "vd": 1, "o": ' + nodes + b'}, "ok": 1' + extra + b"}"


EMOTIONS = b"""[
    {"n": "angry", "o": [], "t": "emotion", "v": 0, "vd": 0},
    {"n": "happy", "o": [], "t": "emotion", "v": 0, "vd": 0},
    {"n": "neutral", "o": [], "t": "emotion", "v": 131, "vd": 1722237},
    {"n": "surprise", "o": [], "t": "emotion", "v": 0, "vd": 5250},
    {"n": "undefined", "o": [], "t": "emotion", "v": 2, "vd": 8635}
]"""
AGES = b"""[
    {"n": "adult", "o": [], "t": "age", "v": 24, "vd": 576918},
    {"n": "kid", "o": [], "t": "age", "v": 0, "vd": 0},
    {"n": "old", "o": [], "t": "age", "v": 0, "vd": 0},
    {"n": "undefined", "o": [], "t": "age", "v": 0, "vd": 0},
    {"n": "young", "o": [], "t": "age", "v": 111, "vd": 1164209}
]"""
GENDERS = b"""[
    {"n": "female", "o": [], "t": "gender", "v": 134, "vd": 1734514},
    {"n": "male", "o": [], "t": "gender", "v": 1, "vd": 6613},
    {"n": "undefined", "o": [], "t": "gender", "v": 0, "vd": 0}
]"""
DEVICE_NODES = b"""[
    {"n": "1888", "o": [], "ots": 5, "otsd": 33959, "t": "device", "v": 5, "vd": 33959},
    {"n": "1891", "o": [], "ots": 2, "otsd": 15155, "t": "device", "v": 2, "vd": 15155},
    {"n": "1892", "o": [], "ots": 1, "otsd": 20922, "t": "device", "v": 1, "vd": 20922},
    {"n": "1893", "o": [], "ots": 19, "otsd": 163903, "t": "device", "v": 19, "vd": 163903}
]"""
MOVIES = b"""[
    {"n": "1", "o": [], "ots": 5, "otsd": 33959, "t": "movie", "v": 5, "vd": 33959},
    {"n": "2", "o": [], "ots": 2, "otsd": 15155, "t": "movie", "v": 2, "vd": 15155},
    {"n": "3", "o": [], "ots": 1, "otsd": 20922, "t": "movie", "v": 1, "vd": 20922},
    {"n": "4", "o": [], "ots": 19, "otsd": 163903, "t": "movie", "v": 19, "vd": 163903}
]"""
DATES = b"""[
    {"n": "2017-06-02", "o": [], "ots": 5, "otsd": 33959, "t": "date", "v": 5, "vd": 33959},
    {"n": "2017-06-06", "o": [], "ots": 22, "otsd": 199980, "t": "date", "v": 22, "vd": 199980},
    {"n": "2017-06-07", "o": [], "ots": 111, "otsd": 1516682, "t": "date", "v": 109, "vd": 1508488}
]"""
