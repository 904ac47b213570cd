"""Tests of exporter/engine."""
