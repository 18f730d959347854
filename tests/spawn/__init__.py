"""External spawning: `fcgibox spawn` beside the real spawn-fcgi, and PHP started by either."""
