"""One module per command; each has a USAGE text and run(argv)."""
