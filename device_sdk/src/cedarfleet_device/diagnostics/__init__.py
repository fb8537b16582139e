"""What a device says of itself, and what keeps it from working.

``health`` is the running agent's word: the reported state of its shadow, the status file that
``cedarfleet-device status`` prints, and readiness and life signs for systemd. ``doctor`` looks at a
device from outside, whether an agent runs or not, and says in words what is wrong, from the nearest
cause to the farthest.
"""
