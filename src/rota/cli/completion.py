"""``rota completion``: the completion script for a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from rota.cli.output import emit

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes rota's commands and options in your SHELL.

    \b
    Examples:
      rota completion bash >> ~/.bashrc
      rota completion zsh  > ~/.zfunc/_rota
      rota completion fish > ~/.config/fish/completions/rota.fish
    """
    from rota.cli.root import root

    maker = get_completion_class(shell)
    assert maker is not None
    emit(maker(root, {}, "rota", "_ROTA_COMPLETE").source())
