"""What is told: each happening is one function that writes the log line, the metric and the row of the status."""
