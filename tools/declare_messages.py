"""Write the declarations in ``src/rota/wire/messages`` from the schemas inside Kafka's jars.

    python tools/declare_messages.py kafka-clients-4.1.0.jar kafka-group-coordinator-4.1.0.jar
        kafka-transaction-coordinator-4.1.0.jar [directory]

Names, types, versions and defaults are taken, nothing else: the schemas' comments stay where they are.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

_TARGET = Path(__file__).parent.parent / "src/rota/wire/messages"

# Versions of Kafka 4.1 that its brokers do not offer: they were unstable.
_LAST_STABLE = {"OffsetCommit": 9, "OffsetFetch": 9, "InitProducerId": 5, "ListOffsets": 10, "ShareFetch": 1}

APIS = """
Produce Fetch ListOffsets Metadata OffsetCommit OffsetFetch FindCoordinator JoinGroup Heartbeat LeaveGroup SyncGroup
DescribeGroups ListGroups SaslHandshake ApiVersions CreateTopics DeleteTopics DeleteRecords InitProducerId
OffsetForLeaderEpoch AddPartitionsToTxn AddOffsetsToTxn EndTxn WriteTxnMarkers TxnOffsetCommit DescribeAcls CreateAcls
DeleteAcls DescribeConfigs AlterConfigs DescribeLogDirs SaslAuthenticate CreatePartitions DeleteGroups ElectLeaders
IncrementalAlterConfigs AlterPartitionReassignments ListPartitionReassignments OffsetDelete DescribeClientQuotas
AlterClientQuotas DescribeUserScramCredentials AlterUserScramCredentials DescribeQuorum UpdateFeatures DescribeCluster
DescribeProducers DescribeTransactions ListTransactions ConsumerGroupHeartbeat ConsumerGroupDescribe
ListConfigResources DescribeTopicPartitions AlterReplicaLogDirs CreateDelegationToken RenewDelegationToken
ExpireDelegationToken DescribeDelegationToken UnregisterBroker ShareGroupHeartbeat ShareGroupDescribe ShareFetch
ShareAcknowledge AddRaftVoter RemoveRaftVoter InitializeShareGroupState ReadShareGroupState WriteShareGroupState
DeleteShareGroupState ReadShareGroupStateSummary DescribeShareGroupOffsets AlterShareGroupOffsets
DeleteShareGroupOffsets
""".split()  # noqa: SIM905 - 73 names on a line each would be longer to read

GROUP_LOG = [
    each + part
    for each in [
        "OffsetCommit",
        "GroupMetadata",
        "ConsumerGroupMetadata",
        "ConsumerGroupPartitionMetadata",
        "ConsumerGroupMemberMetadata",
        "ConsumerGroupTargetAssignmentMetadata",
        "ConsumerGroupTargetAssignmentMember",
        "ConsumerGroupCurrentMemberAssignment",
        "ConsumerGroupRegularExpression",
    ]
    for part in ("Key", "Value")
]
TRANSACTION_LOG = ["TransactionLogKey", "TransactionLogValue"]
CONSUMER_PROTOCOL = ["ConsumerProtocolSubscription", "ConsumerProtocolAssignment"]

_SPECIFIERS = {"bool": "boolean", "bytes": "bytes_"}
_PYTHON = {"bool": "bool", "string": "str", "bytes": "bytes", "uuid": "bytes", "float64": "float"}
_PRIMITIVES = {
    "bool", "int8", "int16", "uint16", "int32", "uint32", "int64", "float64", "uuid", "string", "bytes", "records",
}  # fmt: skip


def snake(name: str) -> str:
    """``GroupInstanceId`` as ``group_instance_id``, ``ISRNodes`` as ``isr_nodes``."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


class Module:
    """One file of declarations being written."""

    def __init__(self) -> None:
        self.classes: list[str] = []
        self.names: dict[str, str] = {}
        self.specifiers: set[str] = set()

    def message(self, schema: dict[str, Any], last: int | None) -> None:
        name = schema["name"]
        common = {each["name"]: each for each in schema.get("commonStructs", [])}
        versions = schema["validVersions"]
        if last is not None:
            first = versions.split("-")[0].rstrip("+")
            versions = first if first == str(last) else f"{first}-{last}"
        options = [f'versions="{versions}"', f'flexible="{schema["flexibleVersions"]}"']
        if "apiKey" in schema and schema.get("type") in {"request", "response"}:
            options.insert(0, f"api_key={schema['apiKey']}")
        self.struct(name, name, schema["fields"], common, f"Message, {', '.join(options)}")

    def struct(
        self, owner: str, name: str, fields: list[dict[str, Any]], common: dict[str, Any], base: str
    ) -> str:
        lines = [self.field(owner, each, common) for each in fields]
        self.classes.append(
            f"class {name}({base}):\n" + ("\n".join(f"    {line}" for line in lines) or "    pass")
        )
        return name

    def nested(self, owner: str, kafka_name: str, field: dict[str, Any], common: dict[str, Any]) -> str:
        if kafka_name in common:
            key = f"{owner}:{kafka_name}"
            fields = common[kafka_name]["fields"]
        else:
            key = f"{owner}:{kafka_name}:{id(field)}"
            fields = field["fields"]
        if key in self.names:
            return self.names[key]
        name = kafka_name if kafka_name not in self.names.values() else owner + kafka_name
        self.names[key] = name
        return self.struct(owner, name, fields, common, "Struct")

    def field(self, owner: str, field: dict[str, Any], common: dict[str, Any]) -> str:
        type_ = field["type"]
        element = type_.removeprefix("[]")
        is_array = type_ != element
        nullable = field.get("nullableVersions", "none")
        arguments: list[str] = []
        if element in _PRIMITIVES:
            python = _PYTHON.get(element, "memoryview" if element == "records" else "int")
            if is_array:
                arguments.append(f'"{element}"')
        else:
            python = self.nested(owner, element, field, common)
            arguments.append(python)
        kind = "array" if is_array else element if element in _PRIMITIVES else "struct"
        versions = field.get("versions") or field["taggedVersions"]
        if versions != "0+":
            arguments.append(f'"{versions}"')
        if nullable != "none":
            arguments.append(f'nullable="{nullable}"')
        default = self.default(kind, field, python)
        arguments.append(f"default={default}")
        if "tag" in field:
            arguments += [f"tag={field['tag']}", f'tagged="{field["taggedVersions"]}"']
        if is_array:
            python = f"list[{python}]"
        if kind == "records":
            python = "Records"
            arguments.remove("default=None")
            self.specifiers.add("Records")
        elif nullable != "none" or default == "None":
            python += " | None"
        specifier = _SPECIFIERS.get(kind, kind)
        self.specifiers.add(specifier)
        return f"{snake(field['name'])}: {python} = {specifier}({', '.join(arguments)})"

    def default(self, kind: str, field: dict[str, Any], python: str) -> str:
        given = field.get("default", "")
        if kind == "records" or given in {None, "null"}:
            return "None"
        match kind:
            case "array":
                return "[]"
            case "struct":
                return f"{python}()"
            case "string":
                return json.dumps(given or "")
            case "bytes":
                return 'b""'
            case "uuid":
                return "bytes(16)"
            case "bool":
                return "True" if str(given).lower() == "true" else "False"
            case "float64":
                return str(float(given or 0))
            case _:
                return str(int(str(given or 0), 0))

    def text(self, docstring: str) -> str:
        every = "\n\n\n".join(self.classes)
        from_schema = [name for name in ("Message", "Struct") if re.search(rf"\({name}\b", every)]
        imports = sorted({*self.specifiers, *from_schema})
        names = sorted(re.findall(r"^class (\w+)", every, re.MULTILINE))
        return (
            f'"""{docstring}"""\n\nfrom __future__ import annotations\n\n'
            f"from rota.wire.schema import {', '.join(imports)}\n\n"
            f"__all__ = {names!r}\n\n\n{every}\n"
        )


def main() -> None:
    if len(sys.argv) not in {4, 5}:
        sys.exit(__doc__)
    clients, coordinator, transactions = (zipfile.ZipFile(path) for path in sys.argv[1:4])
    target = Path(sys.argv[4]) if len(sys.argv) == 5 else _TARGET
    target.mkdir(exist_ok=True)
    table = []
    for api in APIS:
        request, response = (_schema(clients, f"{api}{kind}") for kind in ("Request", "Response"))
        module = Module()
        last = _LAST_STABLE.get(api)
        module.message(request, last)
        module.message(response, last)
        key = request["apiKey"]
        versions = re.search(rf'class {api}Request\(Message.*versions="([\d-]+)"', "\n".join(module.classes))
        assert versions is not None
        docstring = f"{api}: API {key}, versions {versions[1]}."
        (target / f"{snake(api)}.py").write_text(module.text(docstring))
        first, _, final = versions[1].partition("-")
        flexible = request["flexibleVersions"].rstrip("+")
        table.append(
            (key, api, int(first), int(final or first), None if flexible == "none" else int(flexible))
        )
    _write(
        target / "group_log.py",
        coordinator,
        GROUP_LOG,
        "The records of ``__consumer_offsets``: keys and values.",
    )
    _write(
        target / "transaction_log.py",
        transactions,
        TRANSACTION_LOG,
        "The records of ``__transaction_state``: keys and values.",
    )
    _write(
        target / "consumer_protocol.py",
        clients,
        CONSUMER_PROTOCOL,
        "What members tell each other inside JoinGroup and SyncGroup.",
    )
    rows = "\n".join(f"    {row!r}," for row in sorted(table))
    (target / "table.py").write_text(
        '"""Every API that is declared: key, name, first and last version, first flexible version."""\n\n'
        'from __future__ import annotations\n\n__all__ = ["ROWS"]\n\n'
        f"ROWS: tuple[tuple[int, str, int, int, int | None], ...] = (\n{rows}\n)\n"
    )
    settings = ["--config", str(Path(__file__).parent.parent / "pyproject.toml")]
    for arguments in (["check", "-q", "--fix", "--select", "I,RUF022"], ["format", "-q"]):
        subprocess.run([sys.executable, "-m", "ruff", *arguments, *settings, str(target)], check=False)


def _write(path: Path, jar: zipfile.ZipFile, names: list[str], docstring: str) -> None:
    module = Module()
    for name in names:
        module.message(_schema(jar, name), None)
    path.write_text(module.text(docstring))


def _schema(jar: zipfile.ZipFile, name: str) -> dict[str, Any]:
    path = next(each for each in jar.namelist() if each.endswith(f"/{name}.json"))
    text = jar.read(path).decode()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("//")]
    parsed: dict[str, Any] = json.loads("\n".join(lines))
    return parsed


if __name__ == "__main__":
    main()
