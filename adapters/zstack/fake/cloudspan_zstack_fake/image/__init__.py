"""The fake cloud's image side."""
