"""Errors, named by what the caller does next.

Their texts are for operators: what failed, why as far as known, what to do. They hold no secret and no URL query. Each
error has a `code` that names it for programs and tests, so that its text can be improved.
"""

import errno
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import NamedTuple, TypeVar

A = TypeVar("A")
B = TypeVar("B")
OUT_OF_FILES = "too_many_open_files"
"""The code of errors that occur because no more files can be opened. They pass when other files are closed."""
RAISE_FILE_LIMIT = "raise the limit of open files (ulimit -n)"
"""The advice of these errors."""
TRY_AGAIN = "try again later"
"""The advice where there is nothing else to do."""
NUL_IN_PATH = "expected a path without NUL characters"
"""The text about a path that no file can have: the system's functions raise ValueError for it, and no OSError."""


def is_out_of_files(error: BaseException | None) -> bool:
    """Whether the system refused to open a file or a connection because too many are open."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


class CollectorError(Exception):
    """The base of all errors of this program."""

    def __init__(self, reason: str = "", *, code: str = "") -> None:
        super().__init__(reason)
        self.code = code or type(self).__name__


class RetryLater(CollectorError):  # noqa: N818 - named by what to do
    """A transient failure: the same request may succeed later, `after_s` seconds from now at the earliest."""

    def __init__(
        self,
        reason: str,
        *,
        code: str = "",
        advice: str = TRY_AGAIN,
        after_s: float = 0.0,
        narrower: bool = False,
        throttled: bool = False,
    ) -> None:
        super().__init__(reason, code=code)
        self.advice = advice
        """For users of commands. The daemon retries by itself, and adds what to do if the error persists."""
        self.after_s = after_s
        """The shortest time to wait before the retry, in seconds."""
        self.throttled = throttled
        """The vendor is available, but accepts fewer requests than were sent."""
        self.narrower = narrower
        """The next request must select less: the response took too long."""


class NeedsOperator(CollectorError):  # noqa: N818 - named by what to do
    """The same operation fails until an operator follows the advice."""

    def __init__(self, reason: str, *, advice: str, code: str = "") -> None:
        super().__init__(reason, code=code)
        self.advice = advice


class Park(NeedsOperator):
    """The same request fails until an operator follows the advice. The stream becomes parked, and retries slowly."""

    def __init__(self, reason: str, *, advice: str, code: str = "", after_s: float = 0.0) -> None:
        super().__init__(reason, advice=advice, code=code)
        self.after_s = after_s
        """The shortest time to wait before the retry, in seconds."""
        self.body = b""
        """The vendor's response, if it was requested and is short. Not to be shown as it is."""


class NotFound(Park):
    """The vendor responds that the path does not exist (HTTP 404)."""


class UnreadableState(NeedsOperator):
    """The stored state has a format that this version cannot read. The stream must not run."""


class KafkaMisconfigured(NeedsOperator):
    """An operator must change Kafka or `[kafka]`: for example, a topic is missing or a permission is not granted.

    The daemon reports it and retries.
    """

    def __init__(
        self, reason: str, *, advice: str, code: str = "", topic: str | None = None, is_missing: bool = False
    ) -> None:
        super().__init__(reason, advice=advice, code=code)
        self.topic = topic
        """The event topic that caused it: other streams continue. None when it affects all streams."""
        self.is_missing = is_missing
        """Whether the topic does not exist."""


class Split(CollectorError):  # noqa: N818 - named by what to do
    """The response to this window is too large: fetch its halves instead."""


class EpochEnded(CollectorError):  # noqa: N818 - named by what happened
    """The epoch can commit nothing more, and its last commit may or may not be durable.

    The caller discards what it has in memory. The next epoch starts from the durable state.
    """


class NotReplayable(CollectorError):  # noqa: N818 - named by what is known
    """A dead letter cannot be published again. The text says what it lacks, or why it must not be."""


class UserError(CollectorError):
    """The user's input is wrong. Exit code 2."""


def both(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """The results of both calls. If both raise UserError, raises one with both texts and the code of the first."""
    try:
        result = first()
    except UserError as error:
        try:
            second()
        except UserError as other:
            raise UserError(f"{error}\n{other}", code=error.code) from None
        raise
    return result, second()


class Problem(NamedTuple):
    """What is wrong with one key of the configuration."""

    path: str
    """The key, such as `sources.mall.user_id`; empty for the configuration as a whole."""
    code: str
    """Names the problem for programs and tests, as the code of an error does."""
    text: str
    file: str = ""
    """The included file that contains the key; empty for config.toml."""

    def __str__(self) -> str:
        where = f"{self.file}: " if self.file else ""
        return f"{where}{self.path or 'the configuration'}: {self.text}"


class InvalidConfiguration(UserError):  # noqa: N818 - named by what happened
    """Keys of the configuration are wrong. The text lists every problem, one per line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)), code="invalid_configuration")


class Failed(CollectorError):  # noqa: N818 - named by what happened
    """A command failed. Exit code 1."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A suggestion to append to an error's text: the known name nearest to the given one; empty when none is near."""
    near = get_close_matches(given, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def suggestion_or_list(given: str, known: Iterable[str], introduction: str) -> str:
    """A suggestion to append to an error's text; where no known name is near, all of them after the introduction."""
    names = list(dict.fromkeys(known))
    return did_you_mean(given, names) or f": {introduction} {', '.join(names)}"


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in an exception group, at any depth; the error itself when it is not a group."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error


def release_frames(error: BaseException) -> None:
    """Remove the tracebacks of an error and of those before it, for a caller that keeps the error while it waits.

    A traceback keeps the variables of all functions that the error has passed: also the response in which it occurred.
    """
    errors: list[BaseException | None] = [error]
    while errors:
        each = errors.pop()
        if each is not None and each.__traceback__ is not None:
            each.__traceback__ = None
            errors += [each.__cause__, each.__context__]
