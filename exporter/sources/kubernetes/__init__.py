"""Secrets of a cluster as targets: listed in pages, watched in between."""

from exporter.sources.kubernetes.cluster import Cluster, ClusterOptions
from exporter.sources.kubernetes.question import Limits

__all__ = ["Cluster", "ClusterOptions", "Limits"]
