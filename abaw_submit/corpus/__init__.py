"""Aff-Wild2 on disk: tracks, annotations, templates, the ledger."""
