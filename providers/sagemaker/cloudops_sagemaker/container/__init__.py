"""What runs inside SageMaker's containers beside cloudops.runtime: files of the standard library only, Python 3.9."""
