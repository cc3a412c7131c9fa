"""Requests tokens from authorization servers: only `kafka/` uses it."""
