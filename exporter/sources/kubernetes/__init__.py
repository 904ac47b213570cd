"""Secrets of a cluster as targets: listed in pages, watched in between."""

from exporter.sources.kubernetes.cluster import Cluster, ClusterOptions, Limits

__all__ = ["Cluster", "ClusterOptions", "Limits"]
