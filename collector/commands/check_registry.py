"""The part of `collector check` that looks into the schema registry. It registers nothing."""

from typing import NamedTuple

from collector.config import Settings
from collector.errors import NeedsOperator, RetryLater, UserError
from collector.kafka.schema_registry import SchemaRegistrySettings
from collector.registry.client import schema_registry
from collector.registry.failures import SchemaRejected
from collector.registry.ids import credentials
from collector.registry.subjects import registry_schema, subjects


class RegistryState(NamedTuple):
    """The result of the check."""

    is_ok: bool
    text: str
    """Which schemas the registry has if it is ok, else the problem and the advice."""


async def check_registry(settings: Settings, registry_settings: SchemaRegistrySettings) -> RegistryState:
    """Look up the schema of each configured type."""
    types = sorted(subjects(settings.topics()).items())
    missing: list[str] = []
    try:
        async with schema_registry(registry_settings.url, credentials(registry_settings)) as registry:
            for subject, event_type in types:
                if await registry.find(subject, registry_schema(event_type)) is None:
                    missing.append(subject)
    except (NeedsOperator, RetryLater) as error:
        return RegistryState(is_ok=False, text=f"{error}: {error.advice}")
    except SchemaRejected as error:  # by a registry without JSON schemas, also when one is only looked up
        advice = "use a registry that knows schemas of the type JSON"
        return RegistryState(is_ok=False, text=f"the registry refuses a schema: {error}: {advice}")
    except UserError as error:
        return RegistryState(is_ok=False, text=f"{error}: provide kafka.schema_registry.password")
    if not missing:
        return RegistryState(is_ok=True, text=f"has the schemas of all {len(types)} topics")
    names = ", ".join(missing)
    if registry_settings.register:
        text = f"has the schemas of {len(types) - len(missing)} of {len(types)} topics; the daemon registers {names}"
        return RegistryState(is_ok=True, text=text)
    advice = "register them with collector schema --register, or set kafka.schema_registry.register = true"
    return RegistryState(is_ok=False, text=f"does not have the schemas of {names}: {advice}")
