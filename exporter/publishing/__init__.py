"""Domain of alert publishing: what a target is, what a probe's answer means, when a target is unhealthy. No I/O."""
