"""The local provider: jobs and endpoints on this machine."""
