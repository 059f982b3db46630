"""How a broker is started."""

from __future__ import annotations

from pathlib import Path

from rota.model import RotaError
from rota.plain import Plain, field

__all__ = ["BrokerOptions"]


class BrokerOptions(Plain):
    """``port`` 0 takes a free one; ``data_dir`` None keeps everything in memory.

    ``prompt_heartbeats``: see ``rota.broker.held_heartbeats``.
    """

    host: str = "127.0.0.1"
    port: int = 9092
    data_dir: Path | None = None
    configs: dict[str, str] = field(default_factory=dict)
    advertised: tuple[str, int] | None = None
    insecure: bool = False
    timeline: Path | None = None
    prompt_heartbeats: bool = False

    def check(self) -> None:
        """Refuse an address that other machines can reach: nothing here asks who they are."""
        if self.insecure or self.host in {"localhost", "127.0.0.1", "::1"}:
            return
        import ipaddress

        try:
            local = ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            local = False
        if not local:
            raise RotaError(
                f"--host {self.host} can be reached from other machines, and this broker lets everyone in; "
                "use 127.0.0.1, or add --insecure if that is what you want",
                exit_code=2,
            )
