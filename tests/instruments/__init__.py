"""Tests of exporter/instruments."""
