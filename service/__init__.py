"""The HTTPS API: verifies who calls, asks the tenant's policies, acts on the tenant's devices."""
