// Asks Apache Kafka's own assignors. Reads cases line by line from standard input, fields separated by tabs:
//
//   topic   NAME  PARTITIONS
//   member  ID  INSTANCE  GENERATION  TOPIC,TOPIC...  TOPIC:0,1;TOPIC:0...  USER-DATA-IN-HEX
//   assign  STRATEGY          answers one line per member, "ID<tab>TOPIC:0 TOPIC:1 ...", then "." or "! error"
//   time    STRATEGY  RUNS    answers one line with the milliseconds of each run on the same case
//   clear                     forgets topics and members
//
// An empty field means "none". Every run gets a new assignor, as pure functions have no past.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.consumer.internals.AbstractPartitionAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

public class AssignorHarness {
    private static final Map<String, Integer> topics = new LinkedHashMap<>();
    private static final Map<String, String[]> members = new LinkedHashMap<>();
    private static final PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] field = line.split("\t", -1);
            switch (field[0]) {
                case "topic" -> topics.put(field[1], Integer.parseInt(field[2]));
                case "member" -> members.put(field[1], field);
                case "assign" -> assign(field[1]);
                case "time" -> time(field[1], Integer.parseInt(field[2]));
                case "clear" -> {
                    topics.clear();
                    members.clear();
                }
                default -> throw new IllegalArgumentException(line);
            }
            out.flush();
        }
    }

    private static AbstractPartitionAssignor assignor(String strategy) {
        return switch (strategy) {
            case "range" -> new RangeAssignor();
            case "roundrobin" -> new RoundRobinAssignor();
            case "sticky" -> new StickyAssignor();
            case "cooperative-sticky" -> new CooperativeStickyAssignor();
            default -> throw new IllegalArgumentException(strategy);
        };
    }

    // The leader of a group keeps subscriptions in a HashMap that it fills in the order of the JoinGroup response.
    private static Map<String, Subscription> subscriptions() {
        Map<String, Subscription> subscriptions = new HashMap<>();
        for (String[] field : members.values()) {
            List<TopicPartition> owned = new ArrayList<>();
            for (String group : list(field[5], ";")) {
                String[] parts = group.split(":");
                for (String number : parts[1].split(","))
                    owned.add(new TopicPartition(parts[0], Integer.parseInt(number)));
            }
            ByteBuffer userData = field[6].isEmpty() ? null : ByteBuffer.wrap(HexFormat.of().parseHex(field[6]));
            var subscription = new Subscription(
                list(field[4], ","), userData, owned, Integer.parseInt(field[3]), Optional.empty());
            if (!field[2].isEmpty())
                subscription.setGroupInstanceId(Optional.of(field[2]));
            subscriptions.put(field[1], subscription);
        }
        return subscriptions;
    }

    private static List<String> list(String text, String separator) {
        return text.isEmpty() ? List.of() : List.of(text.split(separator));
    }

    private static void assign(String strategy) {
        Node node = new Node(0, "localhost", 9092);
        Node[] replicas = {node};
        List<PartitionInfo> partitions = new ArrayList<>();
        topics.forEach((topic, count) -> {
            for (int number = 0; number < count; number++)
                partitions.add(new PartitionInfo(topic, number, node, replicas, replicas));
        });
        Cluster cluster = new Cluster("harness", List.of(node), partitions, Set.of(), Set.of());
        try {
            var groups = assignor(strategy).assign(cluster, new GroupSubscription(subscriptions()));
            groups.groupAssignment().forEach((member, assignment) -> {
                StringBuilder line = new StringBuilder(member).append('\t');
                for (TopicPartition each : assignment.partitions())
                    line.append(each.topic()).append(':').append(each.partition()).append(' ');
                out.println(line);
            });
            out.println(".");
        } catch (RuntimeException error) {
            out.println("! " + error.toString().replace('\n', ' '));
        }
    }

    private static void time(String strategy, int runs) {
        StringBuilder line = new StringBuilder();
        for (int run = 0; run < runs; run++) {
            Map<String, Subscription> subscriptions = subscriptions();
            AbstractPartitionAssignor assignor = assignor(strategy);
            long start = System.nanoTime();
            assignor.assign(topics, subscriptions);
            line.append((System.nanoTime() - start) / 1e6).append(' ');
        }
        out.println(line);
    }
}
