"""The topics of a stream, and why it cannot publish to some of them at present."""

from collections.abc import Collection, Mapping

from collector.errors import KafkaMisconfigured, Park
from collector.kafka.connection import UNAVAILABLE
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import prepare_event_topics
from collector.model import EventType


class StreamTopics:
    """Outlives the epochs of the stream. The stream waits while a topic is unusable; its neighbours do not."""

    def __init__(self, settings: KafkaSettings, types: Mapping[str, EventType]) -> None:
        """`types` are those of the messages in each topic."""
        self.types = types
        self._settings = settings
        self._errors: dict[str, KafkaMisconfigured] = {}
        """Why topics are unusable, by name."""

    @property
    def are_usable(self) -> bool:
        """Whether no topic is known to be unusable."""
        return not self._errors

    @property
    def missing(self) -> set[str]:
        """The topics that do not exist."""
        return {name for name, error in self._errors.items() if error.is_missing}

    @property
    def problem(self) -> Park:
        """Why the first of the unusable topics cannot be used."""
        error = next(iter(self._errors.values()))
        return Park(str(error), code=error.code, advice=error.advice)

    def failed(self, error: KafkaMisconfigured) -> None:
        """A transaction failed with this error, perhaps because of a topic."""
        if error.topic is not None:
            self._errors[error.topic] = error

    def unusable(self, errors: Mapping[str, KafkaMisconfigured]) -> None:
        """Topics cannot be used, for these reasons. Those of other streams are ignored."""
        self._errors |= {name: error for name, error in errors.items() if name in self.types}

    def usable(self, names: Collection[str]) -> None:
        """These topics can be used now."""
        self._errors = {name: error for name, error in self._errors.items() if name not in names}

    async def check(self) -> bool:
        """Describe the unusable topics again, and forget those that can be used. Returns whether all of them can."""
        compacted = {name for name, kind in self.types.items() if kind.compacted}
        try:
            found = await prepare_event_topics(self._settings, self._errors, compacted, may_create=False)
        except (KafkaMisconfigured, *UNAVAILABLE):
            return self.are_usable
        # Why a topic could not be created explains more than that it is missing.
        self._errors = {
            name: self._errors.get(name, error) if error.is_missing else error for name, error in found.unusable.items()
        }
        return self.are_usable
