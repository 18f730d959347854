"""The life of application processes: recycling, request-timeout, restarts, crash loops; under load."""
