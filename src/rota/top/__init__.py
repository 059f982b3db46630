"""`rota top`: groups, one group, one member, in a terminal."""
