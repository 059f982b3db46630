"""The jars of Apache Kafka, its broker and its tools, copied once per user by Maven.

`pom.xml` beside this file names the versions. The copy's name holds Kafka's version and a digest of the pom.
"""

import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.cache import made_once

KAFKA_VERSION = "4.1.0"

_POM = Path(__file__).with_name("pom.xml")
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


class KafkaMissingError(Exception):
    """Apache Kafka cannot be run here; the message says what to install."""


@cache
def java() -> str:
    """The path of the Java launcher; KafkaMissingError if there is none."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found is None:
        raise KafkaMissingError(
            "no `java` found: install a Java runtime (17 or later), e.g. default-jre-headless"
        )
    return found


@cache
def jars() -> Path:
    """The directory with every jar that broker and tools need; fetched through Maven the first time."""
    java()
    digest = hashlib.sha256(_POM.read_bytes()).hexdigest()[:8]
    return made_once(f"kafka-{KAFKA_VERSION}-{digest}", _fetch)


def class_path() -> str:
    """Every jar, as `java -cp` takes it."""
    return f"{jars()}/*"


def _fetch(directory: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaMissingError("no `mvn` found: install Maven, which fetches Apache Kafka's jars")
    command = [maven, "-q", "-B", "-f", str(_POM), _COPY, "-DincludeScope=runtime"]
    done = subprocess.run(
        [*command, f"-DoutputDirectory={directory}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode != 0 or not (directory / f"kafka-clients-{KAFKA_VERSION}.jar").exists():
        raise KafkaMissingError(
            f"Maven could not fetch Apache Kafka {KAFKA_VERSION}:\n{done.stdout[-2000:]}{done.stderr}"
        )
