"""Builders of panels: the common settings of each kind."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import common, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphThresholdsStyleMode,
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

LIMIT = " limit"
"""The end of the legend of a limit."""
CURSOR = DashboardCursorSync.CROSSHAIR
DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, BLUE, YELLOW, ORANGE, RED, GREY = "green", "blue", "yellow", "orange", "red", "text"
_LIMIT_STYLE = [
    DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
    DynamicConfigValue("custom.fillOpacity", 0),
    DynamicConfigValue("color", {"mode": "fixed", "fixedColor": RED}),
]
Steps = Mapping[float, str]
"""Colours by the value from which they apply."""


class Column(Struct, frozen=True):
    """A column of a table: the value of a query for each row."""

    title: str
    expr: str
    unit: str = "short"
    steps: Steps = {}
    mappings: Sequence[ValueMapping] = ()
    is_shown: bool = True
    """False if the column is hidden, because the query only adds a label to the rows."""


class Link(Struct, frozen=True):
    """Where a click leads. `${__value.raw}` in the URL is the value that is clicked."""

    title: str
    url: str
    is_external: bool = False
    """Whether it opens a page beside Grafana."""


def stat_panel(
    title: str, description: str, queries: Mapping[str, str], *, unit: str = "short", width: int = 3
) -> stat.Panel:
    """A panel of current values in large type. `queries` by legend; `width` in 24ths of the dashboard."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
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


def line_panel(
    title: str,
    description: str,
    queries: Mapping[str, str],
    *,
    unit: str,
    width: int = 8,
    limits: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """A panel of values over time. `queries` by legend; `width` in 24ths of the dashboard.

    `limits` are further queries, by legend, whose values are drawn as dashed lines: metrics that say what is too much.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
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
            .show_legend(True)  # noqa: FBT003 - the SDK's signature
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    for legend, expr in queries.items():
        panel.with_target(_query(expr).range().legend_format(legend))
    for legend, expr in (limits or {}).items():
        panel.with_target(_query(expr).range().legend_format(f"{legend}{LIMIT}"))
    if limits:
        panel.override_by_regexp(f"{LIMIT}$", _LIMIT_STYLE)
    return panel


def with_limit(panel: timeseries.Panel, value: float, colour: str = "") -> timeseries.Panel:
    """The panel with a dashed line at a fixed limit."""
    style = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(thresholds({value: colour or RED}, "transparent")).thresholds_style(style)


def state_panel(
    title: str, description: str, queries: Mapping[str, str], mappings: Sequence[ValueMapping]
) -> statetimeline.Panel:
    """A panel of states over time. `queries` by legend, `mappings` from values to names of states."""
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(description)
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


def table_panel(
    title: str,
    description: str,
    labels: Mapping[str, str],
    columns: Sequence[Column],
    *,
    width: int,
    height: int = 9,
    links: Mapping[str, Link] | None = None,
) -> table.Panel:
    """A table with a row for each combination of `labels`, sorted by the first of the `columns`, descending.

    `labels` contains the title of each label's column, and `links` where its values lead.
    """
    is_single = len(columns) == 1
    values = {"Value" if is_single else f"Value #{column.title}": column for column in columns}
    titles = {**labels} | {name: column.title for name, column in values.items()}
    organized = {
        "excludeByName": {"Time": True} | {name: True for name, column in values.items() if not column.is_shown},
        "indexByName": {name: place for place, name in enumerate(titles)},
        "renameByName": titles,
    }
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(width)
        .height(height)
        .no_value("none")
        .sort_by([common.TableSortByFieldState().display_name(columns[0].title).desc(True)])  # noqa: FBT003 - the SDK's signature
        .with_transformation(DataTransformerConfig("merge", options={}))
        .with_transformation(DataTransformerConfig("organize", options=organized))
    )
    for column in columns:
        panel.with_target(_query(column.expr).instant().format(PromQueryFormat.TABLE).ref_id(column.title))
        panel.override_by_name(column.title, _overrides(column))
    for label, link in (links or {}).items():
        target = {"title": link.title, "url": link.url, "targetBlank": link.is_external}
        panel.override_by_name(labels[label], [DynamicConfigValue("links", [target])])
    return panel


def thresholds(steps: Steps, first: str = GREEN) -> ThresholdsConfig:
    """Colours by value. Values below all steps have the colour `first`."""
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(_steps(steps, first))


def value_mapping(texts: Mapping[float, tuple[str, str]]) -> ValueMap:
    """Shows numbers as text. `texts` contains the text and the colour of each number."""
    return ValueMap(
        {
            f"{value:g}": ValueMappingResult(text=text, color=colour, index=place)
            for place, (value, (text, colour)) in enumerate(texts.items())
        }
    )


def _steps(steps: Steps, first: str) -> list[Threshold]:
    return [Threshold(None, first), *(Threshold(value, colour) for value, colour in steps.items())]


def _overrides(column: Column) -> list[DynamicConfigValue]:
    overrides = [DynamicConfigValue("unit", column.unit)]
    if column.mappings:
        overrides.append(DynamicConfigValue("mappings", list(column.mappings)))
    if column.steps:
        overrides.append(DynamicConfigValue("thresholds", thresholds(column.steps).build()))
    if column.mappings or column.steps:
        overrides.append(DynamicConfigValue("custom.cellOptions", TableColoredBackgroundCellOptions()))
    return overrides


def _query(expr: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expr).datasource(DATASOURCE)
