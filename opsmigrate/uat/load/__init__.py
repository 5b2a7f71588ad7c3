"""A load test of the site with locust: what it counts, and how that is judged."""
