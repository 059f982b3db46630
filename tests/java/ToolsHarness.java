// Runs Apache Kafka's command-line tools one after the other in one JVM, so that not each of them costs a start.
//
// Reads one JSON object a line from standard input and answers each with one line on standard output:
//
//   {"main": CLASS, "arguments": [...], "stdin": TEXT}      ->      {"code": N, "out": TEXT, "err": TEXT}
//
// The tool's own `main` is called, with System.out, System.err and System.in of its own. Where it would end the JVM, it
// ends here with that exit code, and whatever it prints on the way out of that is not its answer. Its shutdown hooks run
// when it is done.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;

public class ToolsHarness {
    private static final ObjectMapper json = new ObjectMapper();
    private static final Said out = new Said();
    private static final Said err = new Said();
    private static final List<Runnable> hooks = new ArrayList<>();
    private static Integer code;

    // What a tool prints; nothing any more once it has ended.
    private static final class Said extends OutputStream {
        private final ByteArrayOutputStream text = new ByteArrayOutputStream();
        private volatile boolean open = true;

        @Override
        public synchronized void write(int b) {
            if (open) text.write(b);
        }

        @Override
        public synchronized void write(byte[] bytes, int from, int count) {
            if (open) text.write(bytes, from, count);
        }

        synchronized String take() {
            String said = text.toString(StandardCharsets.UTF_8);
            text.reset();
            open = true;
            return said;
        }
    }

    private static final class Ended extends Error {
        Ended() {
            super("the tool has ended", null, false, false);
        }
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = System.out;
        InputStream requests = System.in;
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        Exit.setExitProcedure((status, message) -> end(status));
        Exit.setHaltProcedure((status, message) -> end(status));
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        BufferedReader lines = new BufferedReader(new InputStreamReader(requests, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            answers.println(json.writeValueAsString(run(json.readTree(line))));
            answers.flush();
        }
    }

    private static Map<String, Object> run(JsonNode request) throws Exception {
        code = null;
        hooks.clear();
        System.setIn(new ByteArrayInputStream(request.get("stdin").asText().getBytes(StandardCharsets.UTF_8)));
        List<String> words = new ArrayList<>();
        request.get("arguments").forEach(each -> words.add(each.asText()));
        try {
            Class.forName(request.get("main").asText())
                .getMethod("main", String[].class)
                .invoke(null, (Object) words.toArray(new String[0]));
        } catch (java.lang.reflect.InvocationTargetException thrown) {
            if (code == null) {
                thrown.getCause().printStackTrace();
                code = 1;
            }
        }
        for (Runnable hook : hooks) {
            hook.run();
        }
        System.out.flush();
        System.err.flush();
        return Map.of("code", code == null ? 0 : code, "out", out.take(), "err", err.take());
    }

    private static void end(int status) {
        if (code == null) {
            code = status;
            System.out.flush();
            System.err.flush();
            out.open = status == 0; // Shutdown hooks of a tool that ended well may still have to say something.
            err.open = false;
        }
        throw new Ended();
    }
}
