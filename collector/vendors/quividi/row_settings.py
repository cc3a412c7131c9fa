"""The tables of streams whose type of export is configured by hand."""

from collections.abc import Mapping
from datetime import timedelta
from hashlib import blake2b
from typing import Annotated, Literal, Self
from urllib.parse import urlencode

from msgspec import structs
from pydantic import AfterValidator, Field, model_validator

from collector.alignment import ANCHOR
from collector.settings import Day
from collector.vendors.quividi.export_settings import MAX_CONTENT_IDS_BYTES, ExportSettings, check_anchor
from collector.vendors.quividi.export_types import ExportType
from collector.vendors.quividi.resolutions import AGGREGATES, FINEST
from collector.vendors.quividi.row_types import CONFIGURED
from collector.vendors.quividi.row_values import RowForm
from collector.vendors.source import PositiveDuration, Span

RESERVED = frozenset(
    {
        *("data_type", "time_resolution", "start", "end", "force_rebuild", "status_only"),
        *("locations", "sites", "location_tags", "site_tags"),
    }
)
"""The arguments that the collector sets itself. `force_rebuild` and `status_only` count by their presence."""


def _check_fields(names: tuple[str, ...]) -> tuple[str, ...]:
    if not all(names):
        raise ValueError("expected names of fields that are not empty")
    return tuple(sorted(set(names)))


Fields = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_check_fields)]


def _check_arguments(arguments: dict[str, str]) -> dict[str, str]:
    if reserved := sorted(RESERVED.intersection(name.lower() for name in arguments)):
        raise ValueError(f"the collector sets {', '.join(reserved)} itself: remove it")
    if len(urlencode(arguments)) > MAX_CONTENT_IDS_BYTES:
        raise ValueError(f"expected at most {MAX_CONTENT_IDS_BYTES} URL-encoded characters in total")
    return dict(sorted(arguments.items()))


ArgumentName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]+$")]


class RowSettings(ExportSettings):
    """`[sources.<name>.rows.<stream>]`."""

    export_type = CONFIGURED

    data_type: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]+$")]
    time: Annotated[str, Field(min_length=1)] = "period_start"
    place: Literal["location_id", "site_id", ""] = "location_id"
    key: Fields | None = None
    ignore: Fields | None = None
    arguments: Annotated[dict[ArgumentName, str], AfterValidator(_check_arguments)] | None = None
    anchor: Day = ANCHOR
    interval: PositiveDuration = timedelta(minutes=30)  # boxes upload twice an hour
    span: Span = timedelta(days=7)  # a sweep is one export, unless its response is too large

    @model_validator(mode="after")
    def _has_disjoint_fields(self) -> Self:
        form = self.form("")
        for name, fields in (("key", form.key), ("ignore", form.ignore)):
            if known := sorted({*form.time_fields, form.place or ""}.intersection(fields)):
                raise ValueError(f"{name}: {', '.join(known)} is time or place already: remove it")
        if both := sorted(form.ignore.intersection(form.key)):
            raise ValueError(f"ignore: {', '.join(both)} is in key: a field that identifies rows cannot be ignored")
        if form.place == form.time:
            raise ValueError("time: expected another field than place")
        return self

    @model_validator(mode="after")
    def _anchor_is_in_every_month(self) -> Self:
        check_anchor(self.resolution, self.anchor)
        return self

    @property
    def is_finest(self) -> bool:
        return self.resolution == FINEST

    @property
    def options(self) -> Mapping[str, str]:
        return self.arguments or {}

    @property
    def selected(self) -> Mapping[str, str]:
        fields = {"key": self.key, "ignore": self.ignore, "time": self.time, "place": self.place}
        return {self.data_type: "", self.resolution: "", **self.options, "fields": repr(fields)}

    def type_of(self, stream: str) -> ExportType:
        """The type of the stream's exports."""
        return structs.replace(
            CONFIGURED,
            stream=stream,
            data_type=self.data_type,
            resolutions=(FINEST,) if self.is_finest else AGGREGATES,
            place=self.place or None,
        )

    def form(self, stream: str, *, user: str = "", selection: str = "") -> RowForm:
        """The form of the stream's rows. `selection` is a digest of what the source selects."""
        arguments = repr(sorted(self.options.items())).encode()
        return RowForm(
            stream=stream,
            data_type=self.data_type,
            resolution=self.resolution,
            is_finest=self.is_finest,
            time=self.time,
            place=self.place or None,
            key=self.key or (),
            ignore=frozenset(self.ignore or ()),
            user=user,
            selection=selection,
            options=f"/arguments={blake2b(arguments, digest_size=8).hexdigest()}" if self.options else "",
        )
