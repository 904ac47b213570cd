"""One file per collector: from what sources know to samples."""
