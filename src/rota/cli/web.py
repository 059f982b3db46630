"""``rota web``: every group in a browser, live."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from rota.cli.options import admin_options, connection_words
from rota.cli.serving_options import listen_options, look_options
from rota.model import RotaError

if TYPE_CHECKING:
    from rota.admin import Admin

__all__ = ["web"]

PORT = 7682
"""What r, o, t and a are on a telephone."""


@click.command()
@listen_options(PORT, "Where to listen; another than loopback asks for a token.")
@click.option(
    "--token",
    envvar="ROTA_WEB_TOKEN",
    show_envvar=True,
    metavar="TEXT",
    help="What opens the page, 16 letters or more; elsewhere than on loopback one is made up if none is given.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name by which this server may be called, beside its address and localhost; several times.",
)
@click.option(
    "--allow-changes",
    is_flag=True,
    help="Let the page reset offsets of groups without members; without it, it only plans.",
)
@look_options(interval_s=2.0, least_s=0.5)
@admin_options
def web(
    admin: Admin,
    host: str,
    port: int,
    token: str | None,
    hosts: tuple[str, ...],
    allow_changes: bool,
    groups: tuple[str, ...],
    interval_s: float,
    window_s: float,
) -> None:
    """Show every group in a browser, live: who reads what, how late, why it rebalanced, what to do.

    The page needs nothing from the internet. It joins no group and changes nothing; with --allow-changes it may reset
    offsets, of a group without members, once its name was typed.

    \b
    Examples:
      rota web
      rota web --group orders --allow-changes
      rota web --host 0.0.0.0 --allow-host ops.example.com
    """
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise RotaError(f"`rota web` needs {' and '.join(missing)}: pip install 'rota[web]'")
    from rota.cli.groups_rollback import write_rollback
    from rota.watching.live import Live
    from rota.web.app import Site, make_app
    from rota.web.changes import Changes
    from rota.web.server import Server, address, check_token, listen, own_names

    asked = check_token(host, token)
    listening = listen(host, port)
    where = address(listening)
    words = connection_words()
    watching = Live(admin, groups=groups or None, interval_s=interval_s, window_s=window_s, connection=words)
    with listening, watching as live:
        changes = Changes(
            admin, allowed=allow_changes, rollback=write_rollback, connection=words, done=live.refresh
        )
        site = Site(live, cluster=admin.bootstrap, interval_s=interval_s, changes=changes)
        app = make_app(site, token=asked, hosts=(*hosts, *own_names(listening)))
        shown = f"/?token={asked}" if asked is not None and token is None else ""
        click.echo(f"rota web ready on {where}{shown}")
        Server(app, site.feed.close).run(sockets=[listening])
