"""The embedded default: a made-up corpus in real formats, and a stated world that gives any corpus its features."""
