"""Processes, privileges, sockets, signals. Standard library only, one thread, never gevent."""
