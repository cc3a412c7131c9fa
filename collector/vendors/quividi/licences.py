"""Tells a missing licence from other refusals of an account's exports and lists.

VidiCenter documents no response for what the account has not licensed. Clients have seen the statuses 400, 403 and 404,
and exports that always fail. A resolution or an id that is not accepted looks the same. A wrong token does not:
`/whoami/` then fails as well. See docs/decisions/0041.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import anyio
import msgspec
from msgspec import Struct

from collector.clock import Clock
from collector.errors import CollectorError, Park
from collector.vendors.quividi.export import kind_of
from collector.vendors.quividi.export_settings import EXPORT_TYPES

REFUSALS = frozenset({"http_400", "http_403", "http_404"})
"""The codes of the errors that may mean that a licence is missing. The status 401 always concerns the token."""
USER_CHECK_INTERVAL = timedelta(minutes=10)
"""How long the answer of `/whoami/` counts."""
MAYBE_TEMPORARY = timedelta(hours=1)
"""For this time, a refused type is retried like any parked stream: a failure of the vendor may look like a refusal."""
RETRY_INTERVAL = timedelta(days=1)
"""The interval of retries after that: a licence is bought on a working day."""
MAX_WORDS = 200
_KNOWN_TYPES = frozenset(each.data_type for each in EXPORT_TYPES.values())


class Licensed(Struct, frozen=True):
    """Something for which an account may have no licence."""

    key: tuple[str, str]
    """Names it in the account."""
    description: str
    advice: str
    """What to do when it is refused although the account is in order."""


def licensed_export(query: Mapping[str, str]) -> Licensed:
    """The type of export that is requested, at its resolution."""
    kind = kind_of(query)
    selectors = " and ".join(kind.selectors)
    advice = (
        "ask Quividi whether the licence includes this type of export, and check the resolution and the "
        f"{selectors}; without the licence, remove the stream"
    )
    if kind.data_type not in _KNOWN_TYPES:  # configured by hand
        advice = f"check whether data_type is spelt as Quividi spells it; if it is, {advice}"
    description = f"export of {kind.data_type} at the resolution {kind.resolution} for these {selectors}"
    return Licensed(kind[:2], description, advice)


def licensed_list(path: str) -> Licensed:
    """The list at this path."""
    advice = "ask Quividi whether the licence and the rights of this user include it; otherwise, remove the stream"
    return Licensed(("", path), f"list {path}", advice)


class Licences:
    """What is known of the licence of one account. All its sources share it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._received: set[tuple[str, str]] = set()
        self._refused_since: dict[tuple[str, str], datetime] = {}
        self._user_checked_at: datetime | None = None
        self._user_is_valid = False
        self._lock = anyio.Lock()

    def received(self, key: tuple[str, str]) -> None:
        """The vendor has sent what this key names."""
        self._received.add(key)
        self._refused_since.pop(key, None)

    async def explain(
        self, error: Park, words: str, licensed: Licensed, is_user_valid: Callable[[], Awaitable[bool]]
    ) -> Park:
        """The error to raise for what is refused or always fails, with the vendor's words.

        It is `not_licensed` if the account is in order, and the vendor has not sent it since the process started.
        Otherwise it is the given error.
        """
        if licensed.key in self._received or not await self._check_user(is_user_valid):
            return error
        now = self._clock.now()
        is_lasting = now - self._refused_since.setdefault(licensed.key, now) >= MAYBE_TEMPORARY
        retry = "retried once a day, and after a restart" if is_lasting else "retried for an hour, then once a day"
        because = f" ({error.code.replace('_', ' ').upper()})" if error.code in REFUSALS else ", every attempt fails"
        return Park(
            f"the account gets no {licensed.description}{because}: {words[:MAX_WORDS] or 'no reason given'}",
            code="not_licensed",
            advice=f"{licensed.advice}. It is {retry}",
            after_s=RETRY_INTERVAL.total_seconds() if is_lasting else 0.0,
        )

    async def _check_user(self, is_user_valid: Callable[[], Awaitable[bool]]) -> bool:
        """Whether the vendor accepts the user and the token. It is requested at most every USER_CHECK_INTERVAL."""
        async with self._lock:
            now = self._clock.now()
            if self._user_checked_at is None or now - self._user_checked_at >= USER_CHECK_INTERVAL:
                try:
                    self._user_is_valid = await is_user_valid()
                except CollectorError:
                    self._user_is_valid = False
                self._user_checked_at = now
            return self._user_is_valid


class _Message(Struct, frozen=True):
    """The documented body of an error."""

    message: str = ""


def words_of(body: bytes) -> str:
    """The message in the body of an error; empty if there is none."""
    try:
        return msgspec.json.decode(body, type=_Message).message
    except (msgspec.DecodeError, RecursionError):
        return ""
