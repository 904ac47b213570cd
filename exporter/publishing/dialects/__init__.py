"""Which series of a watched service is which of ours: data in one file per dialect, read by one translation."""
