"""Recent history in SQLite: one writer, tiers, retention, queries."""
