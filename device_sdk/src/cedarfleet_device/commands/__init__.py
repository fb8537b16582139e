"""Commands: received, admitted once, run, and reported until the cloud has every state.

``handlers`` is what a maker writes. A message is checked and stored by ``receiver``, which then
has it acknowledged; ``admission`` sees to it that each command is stored once, and begun at once
where a thread is free. ``inbox`` is the command on disk, from ``waiting`` over ``running`` to
``done``; ``begun`` knows what had begun when a process was killed. ``executor`` takes commands from
the inbox and runs them, each by ``invocation`` and within ``time_limits``. Each state goes to
``outbox`` in the same change of the store, and from there to the broker. The messages come from
``connection.mqtt``; ``store`` makes the changes.
"""
