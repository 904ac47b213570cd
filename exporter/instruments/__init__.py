"""Counters, gauges and histograms for what any part of the daemon counts about itself, and the log."""
