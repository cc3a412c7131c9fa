"""Throughput and memory: `make bench`. Numbers are printed, never asserted."""
