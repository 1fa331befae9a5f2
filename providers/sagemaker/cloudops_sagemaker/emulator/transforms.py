"""Batch transform (to come)."""
