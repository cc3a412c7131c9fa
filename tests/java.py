"""The JVMs that tests start."""

QUICK_START = ("-XX:TieredStopAtLevel=1",)
"""Options of a JVM that runs for some seconds: it compiles less, and starts in two thirds of the CPU time."""
