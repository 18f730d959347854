"""Pools by themselves: slots, queue, balance, retries."""
