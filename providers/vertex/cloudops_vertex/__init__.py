"""Vertex AI: custom jobs and what is left of them, through Google's generated clients."""
