"""Two methods for activity-bench: one that needs numbers alone, one that is a network."""
