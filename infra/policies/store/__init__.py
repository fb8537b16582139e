"""A tenant's policy store: ``deployed`` reads what it holds, ``update_order`` says how it changes."""
