"""The processing of records: pure functions and one mutable ledger. No I/O, no clock, no logging."""
