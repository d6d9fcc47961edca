"""Scoring: pure numpy, values in and values out. It never touches the disk."""
