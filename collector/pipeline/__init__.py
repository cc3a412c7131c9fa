"""What happens to a record: pure functions and one mutable ledger; no I/O, no clock, no log."""
