"""Small real programs that tests put behind the server."""
