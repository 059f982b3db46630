"""`rota web`: every group of a cluster in a browser, live: who reads what, how late, why it rebalanced, what to do.

`documents` and `picture` make JSON of a `GroupView`; `feed` takes looks from a `rota.watching.Watch` and hands what
changed to `stream` (server-sent events); `guard` decides who may ask; `changes` is the one way to alter anything.
What the browser runs is in `static`: HTML, CSS and ES modules as they stand, without a build and without the internet.
"""
