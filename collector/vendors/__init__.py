"""The vendors. Each is one folder with a `VENDOR`, independent of the others, and one name in `_NAMES`."""

from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Annotated, Any

from pydantic_core import CoreSchema, core_schema

from collector.vendors.base import Vendor
from collector.vendors.source import SourceSettings

_NAMES = ("seemetrix", "quividi")


class _Vendors(Mapping[str, Vendor[Any]]):
    """The vendors by name. Each is imported when it is first used: one of them has most of all settings."""

    def __getitem__(self, name: str) -> Vendor[Any]:
        if name not in _NAMES:
            raise KeyError(name)
        vendor: Vendor[Any] = import_module(f"{__name__}.{name}").VENDOR
        return vendor

    def __contains__(self, name: object) -> bool:
        return name in _NAMES

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)


VENDORS: Mapping[str, Vendor[Any]] = _Vendors()


def _settings(name: str, table: object) -> SourceSettings:
    """The table of a source of this vendor. Raises ValidationError."""
    settings: SourceSettings = VENDORS[name].settings.model_validate(table)
    return settings


class _ByVendor:
    """Makes pydantic validate a source's table with the settings of its vendor, chosen by its key `vendor`."""

    def __get_pydantic_core_schema__(self, *_: object) -> CoreSchema:
        choices: dict[Any, CoreSchema] = {
            name: core_schema.no_info_plain_validator_function(partial(_settings, name)) for name in _NAMES
        }
        return core_schema.tagged_union_schema(choices, discriminator="vendor")


AnySource = Annotated[SourceSettings, _ByVendor()]
"""The settings of a source of any vendor."""
