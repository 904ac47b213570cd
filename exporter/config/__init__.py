"""What an operator writes: the typed schema, the one YAML loader, and watching for change."""
