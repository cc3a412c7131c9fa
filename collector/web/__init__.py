"""The HTTP server: /metrics, /healthz, /readyz, /api/status and the status page."""
