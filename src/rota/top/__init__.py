"""`rota top`: groups, one group, one member, in a terminal.

What is shown is worked out elsewhere (`rota.monitor`) and comes as `GroupView`s from a `Source`. ``*_page`` and `strip`
make lines and cells of it and know no terminal; ``*_screen`` lay them out; `table`, `lines` and `block` draw no more
than can be seen.
"""
