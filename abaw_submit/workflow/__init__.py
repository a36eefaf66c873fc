"""What a run needs and makes, and how far it is."""
