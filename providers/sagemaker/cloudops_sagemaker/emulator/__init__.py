"""SageMaker on this machine: moto for what surrounds it, and jobs and endpoints that really run."""
