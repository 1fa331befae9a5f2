"""Amazon SageMaker: training jobs, endpoints and what is monitored of them, through boto3."""
