"""What was measured in this process, as Prometheus reads it and as CloudWatch does."""
