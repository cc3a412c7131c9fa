"""Which secrets of `[kafka.sasl]` cannot be read: clients read some of them only when a broker requires a token."""

from collections.abc import Callable, Iterator, Mapping

from collector.errors import KafkaMisconfigured, RetryLater, UserError
from collector.kafka import causes, token_causes
from collector.kafka.settings import KafkaSettings

_CAUSES: Mapping[str, Callable[[RetryLater | UserError], KafkaMisconfigured]] = {
    "password": causes.password_unreadable,
    "token": token_causes.token_unreadable,
    "client_secret": token_causes.client_secret_unreadable,
}


def unreadable_secrets(settings: KafkaSettings) -> Iterator[KafkaMisconfigured]:
    """Why each secret that cannot be read now cannot be read. No broker is used."""
    for key, secret in settings.sasl.secrets.items() if settings.sasl else ():
        try:
            secret.read()
        except (RetryLater, UserError) as error:
            yield _CAUSES[key](error)
