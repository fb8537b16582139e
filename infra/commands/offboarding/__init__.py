"""Ends a tenant: what it leaves is taken away, and that nothing is left is searched for."""
