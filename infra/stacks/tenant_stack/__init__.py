"""The tenant stack: everything that belongs to one tenant."""
