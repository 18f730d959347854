"""The supervisor: its policies with a driven clock, its processes for real."""
