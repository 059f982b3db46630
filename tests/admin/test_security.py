"""TLS and logins against a real Apache Kafka with certificates and users of its own."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from tests.conftest import need_kafka
from tests.kafka.ports import PATIENCE_S, free_ports, wait_until
from tests.kafka.server import RealKafka

from rota.admin import Admin
from rota.client_properties import KNOWN, OTHERS
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIFETIME_MS = 1_500
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required"


class Secured(NamedTuple):
    """Addresses of a broker's listeners, and the directory with `ca.pem` and the client's certificate."""

    plain: str
    tls: str
    login: str
    login_tls: str
    files: Path

    def login_of(self, mechanism: str, password: str = "secret") -> dict[str, str]:
        return {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.files / "ca.pem"),
            "sasl.mechanism": mechanism,
            "sasl.username": "alice",
            "sasl.password": password,
        }


def openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(
        ["openssl", *arguments], cwd=directory, check=True, capture_output=True, timeout=PATIENCE_S
    )


def make_certificates(directory: Path) -> None:
    """An authority, a server for 127.0.0.1, and a client that the authority knows."""
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2", "-nodes")
    authority = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    openssl(directory, *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority", *authority)
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE")
    for name in ("server", "client"):
        alt = ("-addext", "subjectAltName=IP:127.0.0.1")
        files = ("-keyout", f"{name}.key", "-out", f"{name}.crt")
        openssl(directory, *new, *files, "-subj", f"/CN={name}", *signed, *alt)
    store = (directory / "server.key").read_text() + (directory / "server.crt").read_text()
    (directory / "server.pem").write_text(store)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    need_kafka()
    directory = tmp_path_factory.mktemp("secured")
    make_certificates(directory)
    port, controller, *others = free_ports(5)
    names = dict(zip(("TLS", "LOGIN", "LOGIN_TLS"), others, strict=True))
    listeners = {"PLAINTEXT": port, **names}
    kinds = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", "TLS": "SSL", "LOGIN": "SASL_PLAINTEXT"}
    kinds["LOGIN_TLS"] = "SASL_SSL"
    advertised = ",".join(f"{name}://127.0.0.1:{number}" for name, number in listeners.items())
    config = {
        "listeners": f"{advertised},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": advertised,
        "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in kinds.items()),
        "inter.broker.listener.name": "PLAINTEXT",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(directory / "server.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(directory / "ca.pem"),
        "listener.name.tls.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.login.scram-sha-512.connections.max.reauth.ms": str(LIFETIME_MS),
    }
    for listener in ("login", "login_tls"):
        stem = f"listener.name.{listener}"
        config[f"{stem}.plain.sasl.jaas.config"] = f'{PLAIN} user_alice="secret";'
        config[f"{stem}.scram-sha-256.sasl.jaas.config"] = f"{SCRAM};"
        config[f"{stem}.scram-sha-512.sasl.jaas.config"] = f"{SCRAM};"
    with RealKafka(config, directory / "kafka", ports=(port, controller)) as broker:
        make_users(broker.bootstrap_servers)
        plain, tls, login, login_tls = (f"127.0.0.1:{number}" for number in listeners.values())
        yield Secured(plain, tls, login, login_tls, directory)


def make_users(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
        user = UserScramCredentialUpsertion("alice", ScramCredentialInfo(mechanism, 4096), b"secret")
        for future in admin.alter_user_scram_credentials([user]).values():
            future.result(PATIENCE_S)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_login_over_tls(secured: Secured, mechanism: str) -> None:
    def works() -> bool:  # a user is known a moment after he was made
        try:
            with Admin(secured.login_tls, secured.login_of(mechanism)) as admin:
                return admin.list_groups() == ((), None) and str(admin.nodes()[0].port) in secured.login_tls
        except RotaError:
            return False

    wait_until(f"a login by {mechanism}", works)


def test_a_login_as_java_s_tools_write_it(secured: Secured) -> None:
    properties = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": f'{PLAIN} username="alice" password="secret";',
    }
    with Admin(secured.login, properties) as admin:
        assert len(admin.nodes()) == 1


def test_connections_are_made_anew_before_a_login_s_lifetime_ends(secured: Secured) -> None:
    properties = secured.login_of("SCRAM-SHA-512") | {"security.protocol": "SASL_PLAINTEXT"}
    until = time.monotonic() + 2.5 * LIFETIME_MS / 1000
    with Admin(secured.login, properties) as admin:

        def asked_long_enough() -> bool:
            assert len(admin.nodes()) == 1
            return time.monotonic() > until

        wait_until("two lifetimes are over", asked_long_enough)


def test_a_client_certificate(secured: Secured) -> None:
    properties = {
        "security.protocol": "SSL",
        "ssl.ca.location": str(secured.files / "ca.pem"),
        "ssl.certificate.location": str(secured.files / "client.crt"),
        "ssl.key.location": str(secured.files / "client.key"),
    }
    with Admin(secured.tls, properties) as admin:
        assert len(admin.nodes()) == 1
    del properties["ssl.certificate.location"], properties["ssl.key.location"]
    with Admin(secured.tls, properties, timeout_s=5) as stranger, pytest.raises(RotaError):
        stranger.nodes()


def refusal(address: str, properties: dict[str, str]) -> str:
    with Admin(address, properties, timeout_s=5) as admin, pytest.raises(RotaError) as refused:
        admin.nodes()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_refusals_say_what_is_wrong(secured: Secured) -> None:
    wrong_password = refusal(secured.login_tls, secured.login_of("SCRAM-SHA-256", "wrong"))
    assert wrong_password.startswith(f"{secured.login_tls} refused the login: ")
    assert wrong_password.endswith("check the file given as --command-config")
    assert "refused the login" in refusal(secured.login_tls, secured.login_of("PLAIN", "wrong"))

    unknown_authority = {**secured.login_of("PLAIN")}
    del unknown_authority["ssl.ca.location"]
    said = refusal(secured.login_tls, unknown_authority)
    assert said.startswith(f"no TLS connection to {secured.login_tls}: ")
    assert "certificate" in said

    assert "it speaks TLS: set security.protocol" in refusal(secured.tls, {})
    assert "instead of speaking TLS" in refusal(secured.plain, {"security.protocol": "SSL"})
    assert "if it wants TLS or a login, --command-config" in refusal(secured.login, {})
    login_at_plain = secured.login_of("PLAIN") | {"security.protocol": "SASL_PLAINTEXT"}
    assert "refused the login" in refusal(secured.plain, login_at_plain)


def test_certificates_are_believed_unchecked_where_that_is_asked_for(secured: Secured) -> None:
    properties = secured.login_of("PLAIN") | {"enable.ssl.certificate.verification": "false"}
    del properties["ssl.ca.location"]
    with Admin(secured.login_tls, properties) as admin:
        assert len(admin.nodes()) == 1


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"security.protocol": "TLS"}, "expected one of plaintext, ssl, sasl_plaintext, sasl_ssl"),
        ({"security.protocol": "SASL_SSL"}, "sasl.mechanism is missing"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "GSSAPI"}, "sasl.mechanism is GSSAPI"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN"}, "sasl.username is missing"),
        ({"security.protocol": "SSL", "ssl.ca.location": "/nowhere/ca.pem"}, "cannot read /nowhere/ca.pem"),
        ({"security.protocol": "SSL", "ssl.keystore.location": "a.p12"}, "openssl pkcs12"),
        (
            {"sasl.mechansim": "PLAIN"},
            "unknown client property sasl.mechansim; did you mean sasl.mechanism?",
        ),
        ({"ssl.truststore.location": "a.jks"}, "ssl.ca.location"),
    ],
)
def test_wrong_properties_are_the_user_s_to_put_right(properties: dict[str, str], words: str) -> None:
    with pytest.raises(RotaError, match=words.replace("?", r"\?")) as refused:
        Admin("127.0.0.1:1", properties)
    assert refused.value.exit_code == 2


def test_the_known_names_are_librdkafka_s() -> None:
    from confluent_kafka import Consumer, KafkaException

    unknown = []
    for name in sorted({*KNOWN, *OTHERS}):
        try:
            Consumer({"group.id": "g", name: "1", "log_level": 0}).close()
        except (KafkaException, ValueError, TypeError, RuntimeError) as refused:
            if "No such configuration property" in str(refused):
                unknown.append(name)
    assert unknown == []
