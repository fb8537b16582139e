"""Pulumi's plugin of the tenant's component (docs/operations.md)."""
