"""What AWS refuses, throttles and delays, for the embedded cloud."""
