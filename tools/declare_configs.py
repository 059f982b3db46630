"""Write the tables of Kafka's configs from Kafka's own classes: names, types, defaults, valid values.

    python tools/declare_configs.py DIRECTORY-OF-KAFKA-JARS

The jars are those that the tests use (``tests/kafka/pom.xml``). Only facts are taken; no documentation is.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

_TARGET = Path(__file__).parent.parent / "src/rota/broker/configs"

# Validators that are neither a range nor a choice: their text in Kafka, and our name for them.
_NAMED = {
    "[partitionId]:[brokerId],[partitionId]:[brokerId],...": "<replicas>",
    "[latest, earliest, by_duration:PnDTnHnMn.nS]": "<offset-reset>",
    "non-empty string": "<non-empty>",
}

_JAVA = r"""
import java.util.*;
import org.apache.kafka.common.config.ConfigDef;

public class ConfigFacts {
    static String text(Object value) {
        if (value == null) return "\\N";
        if (value instanceof List<?> list)
            return String.join(",", list.stream().map(Object::toString).toList());
        if (value instanceof Class<?> type) return type.getName();
        return value.toString();
    }

    static void print(String kind, ConfigDef def, Map<String, String> modes, Map<String, String> synonyms) {
        for (ConfigDef.ConfigKey key : new TreeMap<>(def.configKeys()).values()) {
            System.out.println(String.join("\t", kind, key.name, key.type.toString().toLowerCase(),
                key.hasDefault() ? text(key.defaultValue) : "\\R", text(key.validator),
                modes.getOrDefault(key.name, "read-only"),
                key.internalConfig ? "internal" : "public", synonyms.getOrDefault(key.name, "")));
        }
    }

    static Object call(String type, String method) throws Exception {
        return Class.forName(type).getMethod(method).invoke(null);
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> modes = new HashMap<>();
        Class<?> type = Class.forName("kafka.server.DynamicBrokerConfig$");
        Object dynamic = type.getField("MODULE$").get(null);
        for (String each : new String[] {"AllDynamicConfigs", "PerBrokerConfigs"}) {
            var method = type.getDeclaredMethod(each);
            method.setAccessible(true);
            var names = ((scala.collection.Iterable<?>) method.invoke(dynamic)).iterator();
            while (names.hasNext())
                modes.put((String) names.next(), each.startsWith("All") ? "cluster-wide" : "per-broker");
        }
        Map<String, String> synonyms = new HashMap<>();
        Map<?, ?> known = (Map<?, ?>) Class
            .forName("org.apache.kafka.server.config.ServerTopicConfigSynonyms")
            .getField("ALL_TOPIC_CONFIG_SYNONYMS").get(null);
        for (Map.Entry<?, ?> entry : known.entrySet()) {
            List<String> of = new ArrayList<>();
            for (Object each : (List<?>) entry.getValue())
                of.add((String) each.getClass().getMethod("name").invoke(each));
            synonyms.put((String) entry.getKey(), String.join(",", of));
        }
        print("broker", (ConfigDef) call("kafka.server.KafkaConfig", "configDef"), modes, Map.of());
        print("topic", (ConfigDef) call("org.apache.kafka.storage.internals.log.LogConfig", "configDefCopy"),
            Map.of(), synonyms);
        print("group", (ConfigDef) call("org.apache.kafka.coordinator.group.GroupConfig", "configDef"),
            Map.of(), Map.of());
    }
}
"""


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "ConfigFacts.java"
        source.write_text(_JAVA)
        printed = subprocess.run(
            ["java", "-cp", f"{sys.argv[1]}/*", str(source)], check=True, capture_output=True, text=True
        ).stdout
    rows: dict[str, list[str]] = {"broker": [], "topic": [], "group": []}
    for line in printed.splitlines():
        kind, name, type_, default, valid, mode, visibility, synonyms = line.split("\t")
        fields = [name, type_, None if default in {"\\N", "\\R"} else default]
        fields.append(_range(valid))
        if kind == "broker":
            fields.append(mode)
        if kind == "topic":
            fields.append(synonyms)
        if visibility == "internal":
            fields.append("internal")
        rows[kind].append(f"    ({', '.join(map(repr, fields))}),")
    for kind, lines in rows.items():
        text = "# ruff: noqa: S108 - /tmp/kafka-logs is Kafka's default\n" if kind == "broker" else ""
        text += f'"""Apache Kafka 4.1\'s {kind} configs. Written by tools/declare_configs.py."""\n\n'
        text += "ROWS: tuple[tuple[str | None, ...], ...] = (\n" + "\n".join(lines) + "\n)\n"
        (_TARGET / f"{kind}_table.py").write_text(text)
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(_TARGET)], check=True)


def _range(valid: str) -> str:
    """A validator's text in the notation of ``ConfigDef.valid``; empty where anything of the type will do."""
    if valid in _NAMED:
        return _NAMED[valid]
    any_case = valid.startswith("(case insensitive) ")
    if not valid.startswith("[") and not any_case:
        return ""
    inner, _, extra = valid.partition("[")[2].partition("]")
    if ",..." in inner:
        low, _, high = inner.partition(",...")
        bounds = f"{low}..{high.removeprefix(',')}"
        return f"{bounds} or {extra.rpartition(' ')[2]}" if extra else bounds
    return "~" * any_case + "|".join(part.strip() for part in inner.split(","))


if __name__ == "__main__":
    main()
