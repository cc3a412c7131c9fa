"""What one looks at: /metrics, /healthz, /readyz, /api/status, and the status page."""
