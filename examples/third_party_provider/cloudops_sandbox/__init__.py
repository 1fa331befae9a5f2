"""A provider for cloudops that is meant to be read: jobs and endpoints as plain processes, in one folder."""
