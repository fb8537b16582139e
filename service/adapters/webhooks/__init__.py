"""Sends events to targets that tenants name: outside AWS, and so by a line of its own."""
