import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;

/**
 * A lock of an OctoStore server, for Java 17 or newer without libraries. Copy this file. Times are in milliseconds.
 *
 * <pre>
 * try (var lock = new Lock.Server("http://127.0.0.1:3000", null).acquire("deploy/prod", 60_000, 600_000, "ci-7")) {
 *     for (var part : parts) {
 *         lock.check(); // throws, before another client can have the lock
 *         target.write(part, lock.token());
 *     }
 * }
 * </pre>
 */
public final class Lock implements AutoCloseable {
    private static final long SLICE = 25_000; // how long one request waits: less than the read timeouts of proxies
    private static final long CONFIRM = 15_000; // until the first renewal, so that a grant lost on the way ends soon

    /** An answer that is not a grant, or none: code is for programs (held, policy_denied, not_held, …). */
    public static final class LockException extends Exception {
        private static final long serialVersionUID = 1;
        public final String code;
        public final int status;
        final long pause; // that the server asks for
        final boolean passes; // the same request may get another answer in a while

        LockException(String code, String detail, int status, long pause) {
            super(detail);
            this.code = code;
            this.status = status;
            this.pause = pause;
            passes = status >= 500 || Set.of(408, 425, 429).contains(status)
                    || Set.of("unreachable", "held", "superseded").contains(code);
        }
    }

    /** A server. Threads may share it. */
    public static final class Server {
        private final String url, token;
        private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)
                .followRedirects(HttpClient.Redirect.NEVER).build(); // a login page is no grant

        public Server(String url, String token) {
            this.url = url.replaceFirst("/$", "");
            this.token = token;
        }

        /** Waits for a lock, outages included. The lease renews itself until it is closed. */
        public Lock acquire(String name, long ttl, long wait, String holder) throws LockException {
            long giveUp = now() + wait;
            String key = UUID.randomUUID().toString(); // one for all requests of one attempt: it keeps the place
            while (true) {
                long sent = now(), slice = Math.max(0, Math.min(SLICE, giveUp - sent)), pause;
                String parameters = "?ttl=%dms&confirm=%dms&wait=%dms&holder=%s"
                        .formatted(ttl, Math.min(ttl, CONFIRM), slice, encode(holder));
                try {
                    var grant = post(name, "acquire" + parameters, slice + 10_000, "Idempotency-Key", key);
                    return new Lock(this, name, grant, sent);
                } catch (LockException e) {
                    boolean over = e.code.equals("attempt_over"); // the grant was lost on the way, its lease has ended
                    if (!over && !e.passes || now() >= giveUp) {
                        throw e;
                    }
                    key = over ? UUID.randomUUID().toString() : key;
                    pause = e.pause > 0 ? e.pause : now() - sent < 1000 ? 1000 : 0;
                }
                sleep(Math.max(0, Math.min(pause, giveUp - now())));
            }
        }

        /** Sends one request about a lock, and returns the answer if it is a good one of OctoStore. */
        Answer post(String name, String verb, long timeout, String header, String value) throws LockException {
            var uri = URI.create(url + "/v1/locks/" + encode(name).replace("%2F", "/") + "/" + verb);
            var request = HttpRequest.newBuilder(uri).header(header, value).POST(BodyPublishers.noBody());
            if (token != null) {
                request.header("Authorization", "Bearer " + token);
            }
            var exchange = http.sendAsync(request.build(), BodyHandlers.ofString());
            HttpResponse<String> response;
            try {
                response = exchange.get(timeout, TimeUnit.MILLISECONDS);
            } catch (ExecutionException | TimeoutException e) {
                throw new LockException("unreachable", "no answer from " + url + ": " + e, 0, 0);
            } catch (InterruptedException e) {
                throw interrupted();
            } finally {
                exchange.cancel(true); // which does nothing if it has ended
            }
            int status = response.statusCode();
            var answer = new Answer(response.body());
            if (status == 200 && answer.number("fencing_token") > 0
                    && (!answer.text("lease_id").isEmpty() || verb.equals("release"))) {
                return answer;
            }
            String code = answer.text("code"), detail = answer.text("detail");
            var pause = response.headers().firstValue("Retry-After").filter(s -> s.matches("\\d{1,4}")).orElse("0");
            throw new LockException(code, !detail.isEmpty() ? detail : uri + " answered " + status
                    + ", not the way OctoStore does", status, 1000 * Math.min(60, Long.parseLong(pause)));
        }
    }

    /** Members of a JSON object. The first of a name counts: metadata comes later, and has names of its own. */
    record Answer(String json) {
        String text(String name) {
            var found = Pattern.compile("\"" + name + "\":\"((?:[^\"\\\\]|\\\\.)*+)\"").matcher(json);
            return found.find() ? found.group(1).replace("\\\"", "\"") : "";
        }

        long number(String name) {
            var found = Pattern.compile("\"" + name + "\":(\\d{1,16})").matcher(json);
            return found.find() ? Long.parseLong(found.group(1)) : 0;
        }
    }

    private final Server server;
    private final String name, id;
    private final long token;
    private volatile long sent, span;
    private volatile boolean lost, closed;
    private volatile String why = "";

    private Lock(Server server, String name, Answer grant, long sent) throws LockException {
        this.server = server;
        this.name = name;
        id = grant.text("lease_id");
        token = grant.number("fencing_token");
        extend(grant, sent);
        while (!renew()) { // at once, which confirms the lease
            check();
            sleep(200);
        }
        var keeper = new Thread(this::keep, "lock " + name);
        keeper.setDaemon(true);
        keeper.start();
    }

    /** The fencing token: pass it along with every write. */
    public long token() {
        return token;
    }

    /** How long until the work has to stop, which is a while before another client can have the lock. */
    public synchronized long left() {
        return lost ? 0 : Math.max(0, sent + span - Math.min(5000, span / 6) - now());
    }

    /** Throws if the work has to stop. */
    public void check() throws LockException {
        if (left() <= 0) {
            throw new LockException("not_held", "the lease of " + name + " is lost: " + why, 0, 0);
        }
    }

    /** Gives the lock back. Throws not_held if the lease was over: the work was not alone to its end. */
    @Override
    public void close() throws LockException {
        closed = true;
        long giveUp = now() + 10_000;
        for (boolean unsure = false;; sleep(1000)) {
            try {
                server.post(name, "release", 5000, "Octostore-Lease", id);
                return;
            } catch (LockException e) {
                if (e.code.equals("not_held") && unsure) {
                    return; // released before, and only the answer was lost
                }
                if (!e.passes || now() >= giveUp) {
                    throw e; // the lease ends by itself
                }
                unsure |= e.status != 429;
            }
        }
    }

    // The lease counts from before the request was sent, so that it ends here before it ends there.
    private synchronized void extend(Answer answer, long sent) {
        this.sent = sent;
        span = answer.number("server_ms") + answer.number("expires_in_ms");
    }

    private boolean renew() {
        long before = now(), timeout = Math.max(200, Math.min(5000, left()));
        try {
            extend(server.post(name, "renew", timeout, "Octostore-Lease", id), before);
            return true;
        } catch (LockException e) {
            why = e.getMessage();
            lost |= e.code.equals("not_held");
            return false;
        }
    }

    private void keep() { // it looks at the clock often, for the machine may have been suspended
        try {
            for (long due = sent + span / 3; left() > 0 && !closed; sleep(Math.min(1000, span / 12))) {
                if (now() >= due) {
                    due = renew() ? sent + span / 3 : now() + Math.min(5000, span / 12);
                }
            }
        } catch (LockException e) {
            why = e.getMessage();
        }
        lost = true;
    }

    // A clock that is never set, and that counts suspends where there is /proc.
    private static long now() {
        try {
            return (long) (1000 * Double.parseDouble(Files.readString(Path.of("/proc/uptime")).split(" ")[0]));
        } catch (IOException e) {
            return System.nanoTime() / 1_000_000;
        }
    }

    private static void sleep(long ms) throws LockException {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            throw interrupted();
        }
    }

    private static LockException interrupted() {
        Thread.currentThread().interrupt();
        return new LockException("interrupted", "the thread was interrupted", 0, 0);
    }

    private static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    /** The example: NAME FILE SECONDS; it appends the fencing token to a file, ten times a second. */
    public static void main(String[] args) throws Exception {
        var env = System.getenv();
        var server = new Server(env.getOrDefault("OCTOSTORE_URL", "http://127.0.0.1:3000"), env.get("OCTOSTORE_TOKEN"));
        long ttl = 1000 * Long.parseLong(env.getOrDefault("LOCK_TTL", "60"));
        long wait = 1000 * Long.parseLong(env.getOrDefault("LOCK_WAIT", "600"));
        try (var lock = server.acquire(args[0], ttl, wait, "java:" + ProcessHandle.current().pid())) {
            System.out.printf("%s is locked, with fencing token %d%n", args[0], lock.token());
            var file = Path.of(args[1]);
            for (long end = now() + 1000 * Long.parseLong(args[2]); now() < end; Thread.sleep(100)) {
                lock.check();
                Files.writeString(file, lock.token() + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            }
        } catch (LockException e) {
            System.err.println("Lock.java: " + e.getMessage());
            System.exit(switch (e.code) {
                case "held" -> 75;
                case "policy_denied", "forbidden", "unauthenticated" -> 77;
                case "not_held" -> 79;
                default -> Set.of(400, 413, 422).contains(e.status) ? 64 : 69;
            });
        }
    }
}
