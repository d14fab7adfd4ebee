"""The fake cloud's compute side."""
