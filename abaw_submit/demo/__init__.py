"""The synthetic corpus: a small Aff-Wild2 with known truth."""
