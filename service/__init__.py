"""The HTTPS API of Cedarfleet: verifies who calls, asks the tenant's policy store, and acts on the tenant's devices."""
