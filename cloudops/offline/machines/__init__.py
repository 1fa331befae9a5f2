"""Machines of emulated clouds: containers without containers, replicas that are kept alive, and what they use."""
