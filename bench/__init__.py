"""How fast, and in how much memory: `make bench`. Numbers are printed, never asserted."""
