"""A tenant's policy store: ``deployed`` reads it, ``update_order`` says how it changes."""
