"""Load tests: Locust against `make up` or a cluster."""
