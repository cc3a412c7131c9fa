"""`[kafka.schema_registry]` in the configuration."""

import warnings
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, model_validator

from collector.secrets import Secret
from collector.settings import STRICT, Switch, can_carry_secrets, parse_base_url

EXAMPLE = "https://registry.example"


def validate_username(text: str) -> str:
    """The name of a user of HTTP Basic. Raises ValueError if it cannot be one."""
    if not text or ":" in text or not text.isprintable():
        raise ValueError("expected a name without colons (RFC 7617)")
    return text


with warnings.catch_warnings():  # pydantic warns of a field that hides ABCMeta.register, which no model needs
    warnings.simplefilter("ignore", UserWarning)

    class SchemaRegistrySettings(BaseModel):
        """`[kafka.schema_registry]`: the registry in which the schemas of the published types are."""

        model_config = STRICT

        url: Annotated[str, AfterValidator(lambda given: parse_base_url(given, EXAMPLE))]
        username: Annotated[str, AfterValidator(validate_username)] | None = None
        password: Secret | None = None
        register: Switch = True
        header: Switch = True

        @model_validator(mode="after")
        def _require_username_with_password(self) -> Self:
            if (self.username is None) != (self.password is None):
                raise ValueError("username and password must be set together")
            return self

        @model_validator(mode="after")
        def _protect_password(self) -> Self:
            if self.password is not None and not can_carry_secrets(self.url, insecure_http=False):
                raise ValueError("url must be https, since plain http exposes the password")
            return self
