"""Looking at a cluster again and again, and keeping what `rota.monitor` makes of it: the half that asks."""
