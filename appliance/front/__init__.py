"""The process that serves: gevent, unprivileged, forked from the supervisor."""
