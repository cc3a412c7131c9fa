"""Tells a missing licence from other refusals of an account's exports.

VidiCenter documents no response for a type of export that the account has not licensed. Clients have seen the statuses
400, 403 and 404, and exports that always fail. A resolution or an id that is not accepted looks the same. A wrong token
does not: `/whoami/` then fails as well. See docs/decisions/0041.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import anyio
import msgspec
from msgspec import Struct

from collector.clock import Clock
from collector.errors import CollectorError, Park
from collector.vendors.quividi.export import Kind, kind_of

REFUSALS = frozenset({"http_400", "http_403", "http_404"})
"""The codes of the errors that may mean that a licence is missing. The status 401 always concerns the token."""
USER_CHECK_INTERVAL = timedelta(minutes=10)
"""How long the answer of `/whoami/` counts."""
MAYBE_TEMPORARY = timedelta(hours=1)
"""For this time, a refused type is retried like any parked stream: a failure of the vendor may look like a refusal."""
RETRY_INTERVAL = timedelta(days=1)
"""The interval of retries after that: a licence is bought on a working day."""
MAX_WORDS = 200


class Licences:
    """What is known of the types of export of one account. All its sources share it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._built: set[tuple[str, str]] = set()
        self._refused_since: dict[tuple[str, str], datetime] = {}
        self._user_checked_at: datetime | None = None
        self._user_is_valid = False
        self._lock = anyio.Lock()

    def built(self, kind: Kind) -> None:
        """The vendor built an export of this type."""
        self._built.add(kind[:2])
        self._refused_since.pop(kind[:2], None)

    async def explain(
        self, error: Park, words: str, query: Mapping[str, str], is_user_valid: Callable[[], Awaitable[bool]]
    ) -> Park:
        """The error to raise for an export that is refused or always fails, with the vendor's words.

        It is `not_licensed` if the account is in order, and no export of this type was built since the process started.
        Otherwise it is the given error.
        """
        kind = kind_of(query)
        if kind[:2] in self._built or not await self._check_user(is_user_valid):
            return error
        now = self._clock.now()
        is_lasting = now - self._refused_since.setdefault(kind[:2], now) >= MAYBE_TEMPORARY
        retry = "retried once a day, and after a restart" if is_lasting else "retried for an hour, then once a day"
        selectors = " and ".join(kind.selectors)
        because = f" ({error.code.replace('_', ' ').upper()})" if error.code in REFUSALS else ", every attempt fails"
        return Park(
            f"the account gets no export of {kind.data_type} at the resolution {kind.resolution} for these {selectors}"
            f"{because}: {words[:MAX_WORDS] or 'no reason given'}",
            code="not_licensed",
            advice="ask Quividi whether the licence includes this type of export, and check the resolution and the "
            f"{selectors}; without the licence, remove the stream. It is {retry}",
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
