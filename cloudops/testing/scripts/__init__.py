"""Scripts that the contracts copy into the project they run."""
