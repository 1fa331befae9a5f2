"""Cloud Storage on this machine: objects that are files at the same time."""
