"""Telemetry: what a device measures, kept on disk until the cloud has it.

``queue`` keeps it, within a bound; ``sender`` publishes it at a rate, behind the states of
commands; ``rate`` is the rate; ``limits`` the table ``[telemetry]`` of the configuration.
"""
