"""Measurements against the servers that a user would pick instead; `make bench` runs them."""
