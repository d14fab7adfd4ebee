"""The fake cloud's network side."""
