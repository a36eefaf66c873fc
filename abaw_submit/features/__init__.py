"""Frozen extractors, one vector per row, cached in HDF5."""
