"""Snapshot to bytes: text and OpenMetrics, content negotiation, compression, lint."""
