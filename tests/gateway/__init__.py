"""The wire to applications: codecs by themselves, and against a real lighttpd."""
