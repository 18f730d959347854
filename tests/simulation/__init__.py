"""Front, supervisor and applications in one thread with a seeded clock, network and crashes.

The parts that decide are the real ones: `pool`, `desk` and `call` of the front, `pool`, `leases`,
`conversation` and `applications` of the supervisor. What is simulated is what they stand on: time, the
channel between them, connections, processes and clients.
"""
