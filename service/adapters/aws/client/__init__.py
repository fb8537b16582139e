"""The one way to AWS: bounded calls beside the event loop, and clients with a tenant's credentials."""
