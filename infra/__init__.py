"""The Pulumi program of the platform and its tenants, and the embedded cloud that it runs against on a laptop."""
