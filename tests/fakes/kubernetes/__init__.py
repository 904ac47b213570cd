"""A Kubernetes API server on loopback: Secrets and namespaces, lists, watches, and everything that can go wrong."""
