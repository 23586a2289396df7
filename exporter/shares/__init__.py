"""The log of shares: steps of counters, a table in memory, and a file of JSON lines for each day."""
