"""What locust runs."""
