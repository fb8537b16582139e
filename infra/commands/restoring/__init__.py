"""Rows of the shared tables, and files of a tenant, as they stood at a moment."""
