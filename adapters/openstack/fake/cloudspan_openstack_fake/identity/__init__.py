"""The fake cloud's identity side."""
