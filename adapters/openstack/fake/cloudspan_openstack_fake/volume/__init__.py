"""The fake cloud's volume side."""
