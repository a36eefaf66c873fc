"""Score files and decisions: the contract between models and everything after them."""
