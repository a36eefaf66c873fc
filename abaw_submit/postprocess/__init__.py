"""Scores of any model in, a recipe chosen without fooling oneself out. Needs no torch."""
