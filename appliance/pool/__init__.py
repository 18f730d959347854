"""Which process serves which request: slots, queue, balance. Decides; spawns nothing, opens nothing."""
