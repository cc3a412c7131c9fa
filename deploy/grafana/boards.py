"""What all dashboards have in common: variables, links and annotations."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    Panel,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from deploy.grafana.panels import CURSOR, DATASOURCE, Link

TAG = "collector"
Rows = Mapping[str, Callable[[], Sequence[Builder[Panel]]]]
"""The panels of each row, by its title."""
SOURCES = 'label_values(collector_stream_state{job="$job"}, source)'
STREAMS = 'label_values(collector_stream_state{job="$job", source=~"$source"}, stream)'

RUNBOOK = Link("Runbook", "${runbooks}#${__value.raw}", is_external=True)
"""From the name of an alert. docs/operations.md has an anchor with each name."""
STATUS_PAGE = Link("Status page", "http://${__value.raw}/", is_external=True)
"""From the name of a replica: its address, as Prometheus requests it."""
SOURCE = Link(
    "Dashboard of the source",
    "/d/collector-source?${datasource:queryparam}&${job:queryparam}&var-source=${__value.raw}&${__url_time_range}",
)
"""From the name of a source."""


def board(
    uid: str, title: str, description: str, variables: Sequence[Builder[model.VariableModel]], rows: Rows
) -> Dashboard:
    """A dashboard with the variables for the data source, the job and the runbooks, and with its own ones."""
    built = (
        Dashboard(title)
        .uid(uid)
        .description(f"{description} Requires the rules of deploy/prometheus/rules.yml.")
        .tags([TAG])
        .readonly()
        .tooltip(CURSOR)
        .refresh("30s")
        .link(_other_dashboards())
        .link(_link("Alerts and runbooks", "${runbooks}#runbooks"))
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(variable("job", "Job", "label_values(collector_build_info, job)"))
        .with_variable(hidden("runbooks", "label_values(collector:runbooks, url)"))
    )
    for each in variables:
        built.with_variable(each)
    for row, panels in rows.items():
        built.with_row(Row(row))
        for panel in panels():
            built.with_panel(panel)
    return built


def with_status_page(built: Dashboard) -> Dashboard:
    """The dashboard with a link to the status page of the replica that its variable `instance` names."""
    return built.link(_link("Status page of $instance", "http://${instance}/"))


def numbered(built: Dashboard) -> model.Dashboard:
    """Assign consecutive ids to the panels, so that links to them are stable, and an id to each query."""
    result, numbers = built.build(), count(1)
    for panel in result.panels or ():
        panel.id_val = next(numbers)
        for index, query in enumerate(getattr(panel, "targets", None) or ()):
            query.ref_id = query.ref_id or chr(ord("A") + index)
    return result


def variable(name: str, label: str, query: str) -> QueryVariable:
    """A variable with one value."""
    return (
        QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
    )


def hidden(name: str, query: str) -> QueryVariable:
    """A variable for links, which nobody chooses."""
    return variable(name, name, query).hide(VariableHide.HIDE_VARIABLE)


def multi_variable(name: str, label: str, query: str) -> QueryVariable:
    """A variable with several values; all of them by default."""
    all_values = VariableOption(selected=True, text=["All"], value=["$__all"])
    return variable(name, label, query).multi(True).include_all(True).all_value(".*").current(all_values)  # noqa: FBT003 - the SDK's signature


def _other_dashboards() -> DashboardLink:
    link = DashboardLink("Dashboards").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(False).include_vars(True).keep_time(True)  # noqa: FBT003 - the SDK's signature


def _link(title: str, url: str) -> DashboardLink:
    return DashboardLink(title).type(DashboardLinkType.LINK).url(url).icon("external link").target_blank(True)  # noqa: FBT003
