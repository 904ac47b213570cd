"""HTTP: the page for Prometheus, the page for people, and the handles for whoever runs the daemon."""
