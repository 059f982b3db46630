"""Consumer groups (KIP-848, ``group.protocol=consumer``): the coordinator assigns, members reconcile one by one.

No barrier and no leader: every member has an epoch of its own and moves to the newest target assignment by itself, at
its heartbeats. ``heartbeat`` is the way in; ``target`` raises the group epoch and makes the target assignment,
``reconcile`` moves one member towards it, ``leave`` takes members out. ``group`` and ``member`` are what is recorded,
``records`` the records, ``sessions`` the deadlines. ``migration`` turns classic groups into these and back.
"""
