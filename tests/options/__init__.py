"""What options do, each shown on the running program."""
