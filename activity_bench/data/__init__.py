"""The one door to the disk: annotations, manifests, predictions, features, reports."""
