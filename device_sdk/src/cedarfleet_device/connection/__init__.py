"""MQTT 5 over mutual TLS, to the one endpoint of the configuration.

``client`` builds every MQTT client of the package, and is the only file that names awscrt's client
options; its ``BriefConnection`` serves a few questions and ends. ``mqtt`` is the agent's own
connection: a persistent session, and acknowledgements in our own hands. ``service_client`` asks a
service of AWS IoT (Jobs, provisioning) over such a client and turns what goes wrong into
``CloudError``.
"""
