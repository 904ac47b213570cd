"""All I/O with the outside world. What goes wrong leaves as a failure with a closed reason, never as free text."""
