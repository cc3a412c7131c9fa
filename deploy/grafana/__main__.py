"""`make dashboards`: generate the JSON of the dashboards from the code."""

from deploy.grafana.files import dashboard_files

for path, text in dashboard_files().items():
    path.write_text(text, "utf-8")
