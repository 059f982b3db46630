"""Rehearsals: a consumer group made of real processes, its failures caused on purpose, its life recorded.

The lab is the rehearsal that one watches and steers. Consumers and the producer are programs of their own
(``actors``), so that ``kill -9`` is a real one; each writes what happened to it into a recording of its own.
A ``Lab`` starts them, reads what they and the coordinator wrote into one `rota.timeline.Timeline`, and carries
out orders; a script or a person at the keys gives them.
"""
