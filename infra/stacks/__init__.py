"""The Pulumi program: one stack for the platform, one for each tenant."""
