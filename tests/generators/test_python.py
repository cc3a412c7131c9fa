"""Python code that datamodel-code-generator makes of the schemas parses every message."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from tests.consumers.published import publish
from tests.generators.messages import DRAFTS, Messages, example_values
from tests.generators.models import generate, not_equal

Models = Mapping[str, type[BaseModel]]


@pytest.fixture(scope="module", params=DRAFTS)
def models(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Models:
    return generate(request.param, tmp_path_factory.mktemp("models"))


def test_every_message_is_equal_after_a_round_trip(models: Models, messages: Messages) -> None:
    assert [] == not_equal(models, iter(messages.valid))


def test_invalid_values_are_refused(models: Models, messages: Messages) -> None:
    for name, value in messages.invalid:
        with pytest.raises(ValidationError):
            models[name].model_validate(value)


def test_fields_that_are_added_later_are_ignored(models: Models) -> None:
    for name, value in example_values().items():
        assert models[name].model_validate(value) == models[name].model_validate({**value, "added_later": 1})


@pytest.mark.anyio
async def test_messages_in_kafka_are_equal_after_a_round_trip(kafka: str, prefix: str, tmp_path: Path) -> None:
    (models_folder := tmp_path / "models").mkdir()
    models = generate(DRAFTS[0], models_folder)

    published = await publish(kafka, prefix, tmp_path)

    values = [message.value for message in published.messages]
    assert {"seemetrix.session.v1", "seemetrix.attention.v1"} <= {value["type"] for value in values}
    assert [] == not_equal(models, iter(values))
