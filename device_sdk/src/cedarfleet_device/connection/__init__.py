"""The MQTT connection to the broker."""
