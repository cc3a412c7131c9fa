"""What one looks at: /metrics, /healthz, /readyz, /api/status."""
