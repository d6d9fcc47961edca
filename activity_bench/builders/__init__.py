"""Builders: annotations in, samples out; pure functions of a corpus and options."""
