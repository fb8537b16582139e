"""Spans, told to whatever the operator has put behind OpenTelemetry's API."""
