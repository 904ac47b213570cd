"""Schedule, cycle, limits and the feed: from collectors to snapshots."""
