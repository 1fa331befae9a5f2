"""Starts, supervises, limits and reaps training and serving processes on this machine.

The local provider and every offline cloud run their work through this package. It knows nothing of
specs, providers or sessions: it is given argument vectors, directories and limits.
"""
