"""Errors, named by what the caller does next. Their texts are for operators and hold no secret and no URL's query."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches


class RetryLater(Exception):  # noqa: N818 - named by what to do
    """Passing trouble: the same request may succeed later, at the earliest after the `after_s` that were asked for."""

    def __init__(
        self,
        reason: str,
        *,
        advice: str = "try again later",
        after_s: float = 0.0,
        narrower: bool = False,
        throttled: bool = False,
    ) -> None:
        super().__init__(reason)
        self.advice = advice
        """For somebody who waits for it; the daemon just asks again."""
        self.after_s = after_s
        self.throttled = throttled
        """The vendor is well, and wants to be asked less often."""
        self.narrower = narrower
        """Ask for less next time: the answer took too long."""


class Park(Exception):  # noqa: N818 - named by what to do
    """The same request gives the same error until somebody acts on the advice: shown, and tried again slowly."""

    def __init__(self, reason: str, *, advice: str) -> None:
        super().__init__(reason)
        self.advice = advice


class NotFound(Park):
    """The vendor does not know the path."""


class Split(Exception):  # noqa: N818 - named by what to do
    """The answer to this window is too large to be taken at once: ask for its halves."""


class EpochEnded(Exception):  # noqa: N818 - named by what happened
    """Nothing can be committed any more, and what was is not known: begin anew from what is durable."""


class KafkaMisconfigured(Exception):  # noqa: N818 - named by what happened
    """Kafka is not as it must be (a topic is missing, differs or is not ours to use): an operator is needed."""

    def __init__(self, reason: str, *, advice: str, topic: str | None = None, is_missing: bool = False) -> None:
        super().__init__(reason)
        self.advice = advice
        self.topic = topic
        """The event topic that it is about: streams that need no such topic go on."""
        self.is_missing = is_missing
        """The topic is not there."""


class UserError(Exception):
    """What the user gave is wrong; the text says what to do. Exit code 2."""


class Failed(Exception):  # noqa: N818 - named by what happened
    """A command could not do what it was asked to; the text says what to do. Exit code 1."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """What was probably meant, as the end of an error's text; empty when nothing is near."""
    near = get_close_matches(given, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group, of groups of groups, or the one that is none."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error
