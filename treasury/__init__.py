"""A small treasury application: payments, the dashboards over them, and alerts about them."""
