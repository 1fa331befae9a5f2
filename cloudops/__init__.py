"""Train, deploy and monitor a model on a cloud or on this machine."""
