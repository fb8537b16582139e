"""What an operator can do, one file a group: `python -m infra GROUP VERB`.

Each module offers `GROUP`, `ABOUT`, `VERBS`, `add_arguments` and `run`, and stands in `GROUPS` of
`infra/__main__.py`, which makes the parser and the help out of them.
"""
