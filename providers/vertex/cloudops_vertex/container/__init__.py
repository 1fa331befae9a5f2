"""What runs in the containers of jobs, with Python 3.9 and its standard library alone."""
