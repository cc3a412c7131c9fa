"""Telemetry of the vendor's fields of one stream: not understood, not known, or no longer sent."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from structlog.typing import FilteringBoundLogger

from collector.model import FieldSample
from collector.telemetry.metrics import Metrics

MAX_UNKNOWN_FIELDS = 20
"""The most unknown fields of a stream that have a name in metrics and the log: the vendor chooses the names."""
MAX_NAME_LENGTH = 60
OTHER_FIELDS = "other"
"""The name of all further ones."""
MIN_RESPONSES, MIN_ROWS = 3, 20
"""In fewer responses, or fewer sampled rows, a field may be present or absent by chance."""


class Streak(NamedTuple):
    """Consecutive responses of which all sampled rows have a field, or none has it."""

    responses: int = 0
    rows: int = 0

    def and_also(self, rows: int) -> "Streak":
        """The streak with one more response, of which this many rows were sampled."""
        return Streak(self.responses + 1, self.rows + rows)

    @property
    def is_significant(self) -> bool:
        return self.responses >= MIN_RESPONSES and self.rows >= MIN_ROWS


class FieldTelemetry:
    """Records what becomes of the fields of a stream's rows. What it remembers, it keeps until the process ends."""

    def __init__(self, metrics: Metrics, labels: Sequence[str], log: FilteringBoundLogger, notices: list[str]) -> None:
        """`labels` are the source and the stream, `notices` those of the stream's status."""
        self._metrics = metrics
        self._labels = labels
        self._log = log
        self._notices = notices
        self._shown = dict[str, str]()
        """The own ones of the notices, by their first words."""
        self._ignored = set[str]()
        self._unknown = dict[str, None]()
        self._present = dict[str, Streak]()
        self._absent = dict[str, Streak]()
        self._regular = set[str]()
        """Fields that all rows have had."""
        self._missed = set[str]()
        """Fields whose absence is logged."""

    def ignored(self, rows: Mapping[str, int]) -> None:
        """The number of rows of a response in which a field could not be understood, by the vendor's name of it."""
        for field, count in rows.items():
            self._metrics.fields_ignored.labels(*self._labels, field).inc(count)
            if field not in self._ignored:
                self._ignored.add(field)
                advice = "it is null in the events; if the vendor changed its format, install a newer version"
                self._log.warning("field_ignored", field=field, rows=count, advice=advice)

    def sampled(self, sample: FieldSample) -> None:
        """The fields of some rows of a response. Without a row, they say nothing."""
        if not sample.rows:
            return
        self._count_unknown(sample)
        for field in sorted({*sample.present, *sample.expected, *self._regular}):
            self._count_absent(field, sample)
        self._show("the vendor sends fields that this version does not know", list(self._unknown))
        gone = sorted(field for field, streak in self._absent.items() if streak.is_significant)
        self._show("the vendor does not send fields that it should send, which are null in the events", gone)

    def released(self) -> None:
        """This process no longer runs the stream, so its notices are no longer true for certain."""
        for text in self._shown.values():
            self._notices.remove(text)
        self._shown.clear()

    def _count_unknown(self, sample: FieldSample) -> None:
        counted = set[str]()
        for field in map(self._name_of, sample.unknown):
            if field in counted:
                continue
            counted.add(field)
            self._metrics.fields_unknown.labels(*self._labels, field).inc()
            if field not in self._unknown:
                self._unknown[field] = None
                advice = "no action needed; if you want it to be published, inform the developers"
                self._log.info("field_unknown", field=field, advice=advice)

    def _name_of(self, field: str) -> str:
        """The field's name as metrics and the log contain it."""
        name = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in field[:MAX_NAME_LENGTH])
        name = name[:MAX_NAME_LENGTH]
        return name if name in self._unknown or len(self._unknown) < MAX_UNKNOWN_FIELDS else OTHER_FIELDS

    def _count_absent(self, field: str, sample: FieldSample) -> None:
        """A field that only some rows have is neither: only if all rows have had it, it counts as absent later."""
        with_field = sample.present.get(field, 0)
        if with_field:
            self._absent.pop(field, None)
            streak = self._present.pop(field, Streak()).and_also(sample.rows)
            if with_field == sample.rows and field not in self._regular:
                self._present[field] = streak
                if streak.is_significant:
                    self._regular.add(field)
            return
        self._present.pop(field, None)
        self._metrics.fields_absent.labels(*self._labels, field).inc()
        self._absent[field] = self._absent.get(field, Streak()).and_also(sample.rows)
        if self._absent[field].is_significant and field not in self._missed:
            self._missed.add(field)
            advice = "it is null in the events; if the vendor renamed it, install a newer version"
            self._log.warning("field_absent", field=field, advice=advice)

    def _show(self, what: str, fields: Sequence[str]) -> None:
        """Make the notice about these fields that of the status; without fields, remove it."""
        text = f"{what}: {', '.join(fields)}" if fields else None
        if text == (shown := self._shown.get(what)):
            return
        if shown is not None:
            self._notices.remove(shown)
            del self._shown[what]
        if text is not None:
            self._notices.append(text)
            self._shown[what] = text
