"""The HTTPS API: verifies who calls, asks the tenant's policies, acts on the tenant's devices.

Each layer sees those below it, and each has one file a noun::

    __main__     which program runs        server       the API as a process
                                           worker       the background worker as a process
    composition  puts the parts together   log          lines of JSON
    api          HTTP: routes and bodies   adapters     what answers the ports: AWS, caches, twins
    operations   what is done, in order    ports        what that needs of the world
    domain       plain data and rules      settings     what the operator may set
    cedar        what the policies see     errors       what can go wrong, by who must act

A new resource is a file in each layer and a line in five lists: ``api/version_1``,
``ports/__init__``, ``operations/operations``, ``composition``, ``adapters/memory/memory_ports``.
"""
