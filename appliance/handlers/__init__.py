"""What answers a request or passes it on, in a fixed order."""
