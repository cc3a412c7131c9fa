"""The processing of records: pure functions, and the state of a stream in memory. No I/O, no clock, no logging."""
