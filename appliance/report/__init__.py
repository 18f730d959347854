"""Logs and statistics: told, never asking."""
