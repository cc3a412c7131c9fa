"""Two invented vendors that know the truth, and know nothing of the collector: for trying things out, and for tests."""
