"""`rota web`: groups and one group's life, in a browser."""
