"""What an image holds: readers of image formats, and the account of which caches ship in which layer."""
