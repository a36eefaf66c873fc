"""From videos to aligned crops: decode, detect, follow, align, crop."""
