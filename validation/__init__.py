"""Filters that judge templates and queries, each with a verdict that can be read, and the runner that keeps the rejects."""
