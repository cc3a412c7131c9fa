"""docs/operations.md describes every metric of the collector, with its type and labels, and no other."""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram, Summary

from collector.telemetry.metrics import Metrics
from tests.docs.pages import DOCS, spans, tables

Signature = tuple[str, tuple[str, ...]]


def exported() -> Mapping[str, Signature]:
    """Type and labels of each metric, by the name that Prometheus reads."""
    metrics = Metrics()
    own = [each for each in vars(metrics).values() if isinstance(each, Counter | Gauge | Histogram | Summary)]
    found = {_name(each): (each._type, each._labelnames) for each in own}
    found["collector_build_info"] = ("gauge", ("version",))
    found |= {f"{family.name}_total": (family.type, ()) for family in metrics.log_errors.collect()}
    return found


def documented() -> Mapping[str, Signature]:
    (table,) = (each for each in tables((DOCS / "operations.md").read_text("utf-8")) if each.header[0] == "metric")
    return {spans(name)[0]: (kind, tuple(spans(labels))) for name, kind, labels, _ in table.rows}


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    assert exported() == documented()


def test_no_metric_is_exported_that_is_not_compared() -> None:
    families = {family.name for family in Metrics().registry.collect() if family.name.startswith("collector_")}
    assert families == {name.removesuffix("_total") for name in exported()}


def _name(metric: Counter | Gauge | Histogram | Summary) -> str:
    name: str = metric._name
    return f"{name}_total" if isinstance(metric, Counter) else name
