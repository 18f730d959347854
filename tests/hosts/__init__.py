"""Hosts that somebody else starts, here or on other machines: which is asked, and what when it fails."""
