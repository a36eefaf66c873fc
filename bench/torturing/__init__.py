"""The parts of `bench/torture.py`."""
