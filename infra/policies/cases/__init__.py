"""Tests the policies by requests whose decision is known, and tells people what they decide.

``reference_fleet`` reads people, devices and grants of ``policies/cases``, by way of
``cedar_json``; ``cases`` reads the requests and evaluates them. ``requests`` asks everything that
can be asked of some resources; ``matrix`` does so for the ``personas`` and writes
``policies/matrix.md``.
"""
