"""The vendors that configurations name."""

import pytest

from collector.vendors import VENDORS


def test_each_vendor_has_the_name_of_its_folder() -> None:
    assert [*VENDORS] == [vendor.name for vendor in VENDORS.values()]


def test_another_name_is_not_a_vendor() -> None:
    assert "metrics" not in VENDORS
    with pytest.raises(KeyError):
        VENDORS["metrics"]
