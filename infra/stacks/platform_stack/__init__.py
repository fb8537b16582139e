"""The platform stack: what all tenants share."""
