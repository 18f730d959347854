"""HTTP: framing, heads, the loop, connections over real sockets."""
