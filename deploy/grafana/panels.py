"""The kinds of panels, each with what all of its kind have in common."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import common, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
    TableColoredBackgroundCellOptions,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from msgspec import Struct

CURSOR = DashboardCursorSync.CROSSHAIR
DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, BLUE, YELLOW, ORANGE, RED, GREY = "green", "blue", "yellow", "orange", "red", "text"
Steps = Mapping[float, str]
"""From which value on which colour."""


class Column(Struct, frozen=True):
    """A column of a table: what a query says of each row."""

    title: str
    expr: str
    unit: str = "short"
    steps: Steps = {}
    mappings: Sequence[ValueMapping] = ()
    is_shown: bool = True
    """False where a query only brings a label along."""


def number(title: str, says: str, queries: Mapping[str, str], *, unit: str = "short", width: int = 3) -> stat.Panel:
    """What is so now, large. `queries` by their legends."""
    panel = (
        stat.Panel()
        .title(title)
        .description(says)
        .datasource(DATASOURCE)
        .span(width)
        .height(4)
        .unit(unit)
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.BACKGROUND)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .text_mode(BigValueTextMode.VALUE_AND_NAME if len(queries) > 1 or "" not in queries else BigValueTextMode.VALUE)
    )
    for legend, expr in queries.items():
        panel.with_target(_query(expr).instant().legend_format(legend or title))
    return panel


def lines(title: str, says: str, queries: Mapping[str, str], *, unit: str, width: int = 8) -> timeseries.Panel:
    """How it was. `queries` by their legends."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(says)
        .datasource(DATASOURCE)
        .span(width)
        .height(8)
        .unit(unit)
        .min(0)
        .fill_opacity(8)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)  # noqa: FBT003 - the SDK's
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    for legend, expr in queries.items():
        panel.with_target(_query(expr).range().legend_format(legend))
    return panel


def timeline(
    title: str, says: str, queries: Mapping[str, str], mappings: Sequence[ValueMapping]
) -> statetimeline.Panel:
    """Which state it was in, and how long."""
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(says)
        .datasource(DATASOURCE)
        .span(24)
        .height(7)
        .unit("none")
        .show_value(VisibilityMode.NEVER)
        .mappings(list(mappings))
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.SINGLE))
    )
    for legend, expr in queries.items():
        panel.with_target(_query(expr).range().legend_format(legend))
    return panel


def rows(
    title: str, says: str, labels: Mapping[str, str], columns: Sequence[Column], *, width: int, height: int = 9
) -> table.Panel:
    """A row for each thing that `labels` name, each with its title; the largest value of the first column is on top."""
    alone = len(columns) == 1
    values = {"Value" if alone else f"Value #{column.title}": column for column in columns}
    titles = {**labels} | {name: column.title for name, column in values.items()}
    organized = {
        "excludeByName": {"Time": True} | {name: True for name, column in values.items() if not column.is_shown},
        "indexByName": {name: place for place, name in enumerate(titles)},
        "renameByName": titles,
    }
    panel = (
        table.Panel()
        .title(title)
        .description(says)
        .datasource(DATASOURCE)
        .span(width)
        .height(height)
        .no_value("none")
        .sort_by([common.TableSortByFieldState().display_name(columns[0].title).desc(True)])  # noqa: FBT003 - the SDK's
        .with_transformation(DataTransformerConfig("merge", options={}))
        .with_transformation(DataTransformerConfig("organize", options=organized))
    )
    for column in columns:
        panel.with_target(_query(column.expr).instant().format(PromQueryFormat.TABLE).ref_id(column.title))
        panel.override_by_name(column.title, _shown(column))
    return panel


def colours(steps: Steps, first: str = GREEN) -> ThresholdsConfig:
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(_steps(steps, first))


def named(names: Mapping[float, tuple[str, str]]) -> ValueMap:
    """Numbers that stand for words: each with its text and its colour."""
    return ValueMap(
        {
            f"{value:g}": ValueMappingResult(text=text, color=colour, index=place)
            for place, (value, (text, colour)) in enumerate(names.items())
        }
    )


def _steps(steps: Steps, first: str) -> list[Threshold]:
    return [Threshold(None, first), *(Threshold(value, colour) for value, colour in steps.items())]


def _shown(column: Column) -> list[DynamicConfigValue]:
    found = [DynamicConfigValue("unit", column.unit)]
    if column.mappings:
        found.append(DynamicConfigValue("mappings", list(column.mappings)))
    if column.steps:
        found.append(DynamicConfigValue("thresholds", colours(column.steps).build()))
    if column.mappings or column.steps:
        found.append(DynamicConfigValue("custom.cellOptions", TableColoredBackgroundCellOptions()))
    return found


def _query(expr: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expr).datasource(DATASOURCE)
