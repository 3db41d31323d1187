"""
Measuring: the protocol of a timed run, the worker process that follows it, and the launchers that start
it.
"""
