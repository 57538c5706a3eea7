"""`automations demo`: a real server, a simulated fleet and a receiver, through a `kill -9` in the middle.

It speaks to the server from outside, as anybody's clients do, and counts by itself what ought to arrive.
"""

from automations.demo.run import run_demo

__all__ = ["run_demo"]
