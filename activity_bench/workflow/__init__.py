"""The verbs: each a function with typed options, what a notebook and the command line both call."""
