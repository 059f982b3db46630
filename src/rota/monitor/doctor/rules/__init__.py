"""The rules, one file each, named after their numbers; each has a constant ``RULE``."""
