"""What to check and how: files, settings, workers, writing."""
