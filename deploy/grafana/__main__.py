"""`make dashboards`: the dashboards as Grafana reads them, made anew of the code."""

from deploy.grafana.written import files

for path, text in files().items():
    path.write_text(text, "utf-8")
