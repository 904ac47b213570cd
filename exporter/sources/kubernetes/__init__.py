"""Secrets of a cluster as targets: listed in pages, watched in between."""

from exporter.sources.kubernetes.client import Limits
from exporter.sources.kubernetes.cluster import Cluster, ClusterOptions

__all__ = ["Cluster", "ClusterOptions", "Limits"]
