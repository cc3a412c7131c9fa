"""Product sales: one row for what a person did with a product."""

import pytest

from tests.vendors.quividi.example import ABSENT
from tests.vendors.quividi.finest import FUNNEL, SALE, Row, record, value

BOTH = [("pmp_sales_by_demographics", SALE, "age_bracket"), ("pmp_sales_funnel", FUNNEL, "age")]
each_export = pytest.mark.parametrize(("stream", "row", "age"), BOTH)
THE_SALE = {
    "record_id": "quividi/acme/pmp_sales_by_demographics/5120/2026-01-14T17:41:09/2-3-3-2-Espresso%20beans%2C%20"
    "1%20kg/0",
    "location_id": 5120,
    "started_at": "2026-01-14T16:41:09.000Z",
    "started_local": "2026-01-14T17:41:09",
    "utc_offset_s": 3600,
    "ambiguous": False,
    "product": "Espresso beans, 1 kg",
    "touch_count": 3,
    "put_back_count": 2,
    "estimated_sales": 1.0,
    "gender": "female",
    "gender_code": 2,
    "age_group": "adult",
    "age_code": 3,
    "occurrence": 0,
}


def test_a_sale_by_demographics() -> None:
    assert THE_SALE == value("pmp_sales_by_demographics", SALE)


def test_a_sale_of_the_funnel() -> None:
    assert THE_SALE | {
        "record_id": "quividi/acme/pmp_sales_funnel/5120/2026-01-14T17:41:09/2-3-3-2-43100-12000-Espresso%20beans%2C%20"
        "1%20kg/0",
        "dwell_ms": 43100,
        "attention_ms": 12000,
    } == value("pmp_sales_funnel", FUNNEL)


@each_export
def test_either_name_of_the_age_is_accepted(stream: str, row: Row, age: str) -> None:
    other = "age" if age == "age_bracket" else "age_bracket"

    assert value(stream, row) == value(stream, row, **{age: ABSENT, other: 3})


@pytest.mark.parametrize(
    ("code", "gender", "age_group"),
    [(0, "unknown", "unknown"), (1, "male", "child"), (2, "female", "young_adult"), (9, "unknown", "unknown")],
)
@each_export
def test_codes_are_words(stream: str, row: Row, age: str, code: int, gender: str, age_group: str) -> None:
    got = value(stream, row, gender=code, **{age: code})

    assert (gender, code) == (got["gender"], got["gender_code"])
    assert (age_group, code) == (got["age_group"], got["age_code"])


@pytest.mark.parametrize("given", [1, 1.0, 0.75, -1, None])
@each_export
def test_sales_are_an_estimate(stream: str, row: Row, age: str, given: float | None) -> None:  # noqa: ARG001
    got = value(stream, row, estimated_sales=given)["estimated_sales"]

    assert got is None if given is None else (float, given) == (type(got), got)
    assert record(stream, row).key == record(stream, row, estimated_sales=given).key


@pytest.mark.parametrize("given", ["", None])
@each_export
def test_a_sale_without_a_name_of_a_product_is_published(stream: str, row: Row, age: str, given: str | None) -> None:  # noqa: ARG001
    assert value(stream, row, product=given)["product"] is None


@pytest.mark.parametrize("name", ["Café/100 %", "日本茶", "7", "a-1"])
@each_export
def test_a_product_may_have_any_name(stream: str, row: Row, age: str, name: str) -> None:  # noqa: ARG001
    got = value(stream, row, product=name)

    assert name == got["product"]
    assert got["record_id"].isascii()
    assert 6 == got["record_id"].count("/")


def test_a_count_with_a_fraction_is_rejected() -> None:
    with pytest.raises(AssertionError, match="product_touches"):
        record("pmp_sales_by_demographics", SALE, product_touches=1.5)
