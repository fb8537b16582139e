"""Reads what the policy files of a tenant say, and refuses what store or house would refuse.

``load`` reads base, tenant and grants into the values of ``bundle``, in this order: ``schema_json``
gives the schema the form that a store takes, ``rules`` checks each policy and all together,
``grants`` makes templates and links. ``formatting`` keeps the files in one form.
"""
