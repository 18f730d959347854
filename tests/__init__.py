"""The tests, and the tools they share: the server under test (`box`), a client that shows bytes, oracles."""
