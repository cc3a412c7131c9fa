"""Telemetry: one method for each event, which writes the log line, the metrics and the status together."""
