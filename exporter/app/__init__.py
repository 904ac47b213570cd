"""The composition root: configuration in, wired stages out."""
