"""Weights of every family a team can get: each is loaded exactly, or refused with the reason.

read (bytes to named tensors) -> recognise (whose names are these) -> rename -> build -> load strictly.
"""
