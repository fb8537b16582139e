"""Judges the policies by requests whose decision is known, and by a table for people.

``reference_fleet`` reads people, devices and grants of ``policies/cases``, by way of ``cedar_json``;
``cases`` reads the requests and decides them. ``requests`` asks everything that can be asked of some
resources; ``matrix`` does so for the ``personas`` and writes ``policies/matrix.md``.
"""
