import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;

/**
 * A lock of an OctoStore server, for Java 17 or newer without libraries. Copy this file. Times are in milliseconds.
 *
 * <pre>
 * try (var lock = new Lock("http://127.0.0.1:3000", token, "deploy/prod", 60_000, 600_000, "ci-7")) {
 *     for (var part : parts) {
 *         lock.check(); // throws, before another client can have the lock
 *         target.write(part, lock.fencingToken);
 *     }
 * }
 * </pre>
 */
public final class Lock implements AutoCloseable {
    private static final long SLICE = 25_000; // how long one request waits: less than the read timeouts of proxies
    private static final long CONFIRM = 15_000; // until the first renewal, so that a grant lost on the way ends soon
    private static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER).build(); // a login page is no grant

    /** Anything but a grant: code is for programs (held, policy_denied, not_held, …). */
    public static final class LockException extends Exception {
        public final String code;
        public final int status;
        final long pause; // that the server asks for

        LockException(String code, String detail, int status, long pause) {
            super(detail);
            this.code = code;
            this.status = status;
            this.pause = pause;
        }

        /** Sleeps until the next request. Throws this if another request is of no use, or too late. */
        void waitOut(long sent, long giveUp) throws LockException {
            boolean passes = status >= 500 || Set.of(408, 425, 429).contains(status)
                    || Set.of("held", "superseded", "attempt_over", "unreachable").contains(code);
            if (!passes || now() >= giveUp) throw this;
            sleep(Math.min(giveUp - now(), pause > 0 ? pause : now() - sent < 1000 ? 1000 : 0));
        }
    }

    public final long fencingToken; // pass it along with every write
    private final String url, token, lease;
    private volatile long stop, due, tick; // when the work has to stop; when the next renewal is
    private volatile boolean released;
    private volatile String why = "it could not be renewed in time";

    /** Waits for the lock, outages included. The lease renews itself until it is closed. */
    public Lock(String url, String token, String name, long ttl, long wait, String holder) throws LockException {
        this.url = url.replaceFirst("/$", "") + "/v1/locks/" + encode(name).replace("%2F", "/") + "/";
        this.token = token.replaceAll("\\s", ""); // an error about a line break would show it
        String grant = acquire(ttl, now() + wait, holder);
        lease = text(grant, "lease_id");
        fencingToken = number(grant, "fencing_token");
        stop = now() + CONFIRM;
        while (!renew()) { // at once, which confirms the lease: only then the work begins
            check();
            sleep(200);
        }
        var keeper = new Thread(this::keep);
        keeper.setDaemon(true);
        keeper.start();
    }

    /** Throws not_held if the work has to stop. It looks at the clock only, so that it never waits. */
    public void check() throws LockException {
        if (now() >= stop) throw new LockException("not_held", "the lease of " + url + " is lost: " + why, 0, 0);
    }

    /** Gives the lock back. Throws not_held if the lease was over: the work was not alone to its end. */
    @Override
    public void close() throws LockException {
        released = true;
        long giveUp = now() + 10_000;
        for (boolean again = false;; again = true) {
            long sent = now();
            try {
                ask("release", 5000, "Octostore-Lease", lease);
                return;
            } catch (LockException e) {
                if (again && e.code.equals("not_held")) return; // released before, and only the answer was lost
                e.waitOut(sent, giveUp); // if it fails, the lease ends by itself
            }
        }
    }

    private String acquire(long ttl, long giveUp, String holder) throws LockException {
        var key = UUID.randomUUID(); // one for all requests: it keeps the place in the queue
        while (true) {
            long sent = now(), slice = Math.max(0, Math.min(SLICE, giveUp - sent));
            String parameters = "?ttl=%dms&confirm=%dms&wait=%dms&holder=%s"
                    .formatted(ttl, Math.min(ttl, CONFIRM), slice, encode(holder));
            try {
                return ask("acquire" + parameters, slice + 10_000, "Idempotency-Key", key.toString());
            } catch (LockException e) {
                if (e.code.equals("attempt_over")) key = UUID.randomUUID(); // a grant that was lost has ended
                e.waitOut(sent, giveUp);
            }
        }
    }

    private boolean renew() {
        long sent = now();
        try {
            String grant = ask("renew", Math.max(200, Math.min(5000, stop - sent)), "Octostore-Lease", lease);
            // The lease counts from before the request was sent, so that it ends here before it ends there.
            long span = number(grant, "server_ms") + number(grant, "expires_in_ms");
            due = sent + span / 3;
            tick = Math.min(1000, span / 12);
            stop = sent + span - Math.min(5000, span / 6);
            return true;
        } catch (LockException e) {
            why = e.getMessage();
            if (e.code.equals("not_held")) stop = 0;
            return false;
        }
    }

    private void keep() { // it looks at the clock often, for the machine may have been suspended
        while (!released && now() < stop) {
            if (now() >= due) renew();
            sleep(tick);
        }
    }

    /** Sends one request, and returns the answer if it is status 200 with all that a grant has. */
    private String ask(String verb, long timeout, String header, String value) throws LockException {
        var request = HttpRequest.newBuilder(URI.create(url + verb)).header(header, value);
        if (!token.isEmpty()) request.header("Authorization", "Bearer " + token);
        var post = request.POST(HttpRequest.BodyPublishers.noBody()).build();
        var exchange = HTTP.sendAsync(post, HttpResponse.BodyHandlers.ofString());
        HttpResponse<String> response;
        try {
            response = exchange.get(timeout, TimeUnit.MILLISECONDS); // a timeout of the request is not for its body
        } catch (ExecutionException | TimeoutException e) {
            throw new LockException("unreachable", "no answer from " + url + ": " + e, 0, 0);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LockException("interrupted", "the thread was interrupted", 0, 0);
        } finally {
            exchange.cancel(true); // which does nothing if it has ended
        }
        String answer = response.body(), detail = text(answer, "detail");
        int status = response.statusCode();
        boolean granted = verb.equals("release") || !text(answer, "lease_id").isEmpty()
                && number(answer, "server_ms") >= 0 && number(answer, "expires_in_ms") >= 0;
        if (status == 200 && granted && number(answer, "fencing_token") > 0) return answer;
        if (detail.isEmpty()) detail = url + " answered " + status + ", not the way OctoStore does";
        var pause = response.headers().firstValue("Retry-After").filter(s -> s.matches("\\d{1,4}")).orElse("0");
        throw new LockException(text(answer, "code"), detail, status, 1000 * Long.parseLong(pause));
    }

    // Members of a JSON object. The first of a name counts: metadata comes later, and has names of its own.
    private static String text(String json, String name) {
        var found = Pattern.compile("\"" + name + "\":\"((?:[^\"\\\\]|\\\\.)*+)\"").matcher(json);
        return found.find() ? found.group(1).replace("\\\"", "\"") : "";
    }

    private static long number(String json, String name) {
        var found = Pattern.compile("\"" + name + "\":(\\d{1,16})[,}]").matcher(json);
        return found.find() ? Long.parseLong(found.group(1)) : -1;
    }

    private static long now() { // a clock that is never set, and that counts suspends where there is /proc
        try {
            return (long) (1000 * Double.parseDouble(Files.readString(Path.of("/proc/uptime")).split(" ")[0]));
        } catch (IOException e) {
            return System.nanoTime() / 1_000_000;
        }
    }

    private static void sleep(long ms) {
        LockSupport.parkNanos(1_000_000 * Math.max(0, ms)); // it may end early, which does no harm
    }

    private static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    /** The example: NAME FILE SECONDS; it appends the fencing token to a file, ten times a second. */
    public static void main(String[] args) throws Exception {
        var env = System.getenv();
        String url = env.getOrDefault("OCTOSTORE_URL", "http://127.0.0.1:3000");
        long ttl = 1000 * Long.parseLong(env.getOrDefault("LOCK_TTL", "60"));
        long wait = 1000 * Long.parseLong(env.getOrDefault("LOCK_WAIT", "600"));
        String holder = "java:" + ProcessHandle.current().pid();
        try (var lock = new Lock(url, env.getOrDefault("OCTOSTORE_TOKEN", ""), args[0], ttl, wait, holder)) {
            System.out.printf("%s is locked, with fencing token %d%n", args[0], lock.fencingToken);
            var file = Files.newBufferedWriter(Path.of(args[1]), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            for (long end = now() + 1000 * Long.parseLong(args[2]); now() < end; Thread.sleep(100)) {
                lock.check();
                file.append(lock.fencingToken + "\n").flush();
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
