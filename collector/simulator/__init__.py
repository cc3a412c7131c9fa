"""Simulated vendors for trials, demonstrations and tests.

They serve the vendors' APIs over HTTP from one reproducible history, so the records that the collector must publish are
known. Nothing here imports the rest of the collector.
"""
