"""The Pulumi program, the operator's command, and the embedded cloud for a laptop."""
