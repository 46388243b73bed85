// Locks of an OctoStore server, for Node 20 or newer without packages. Copy this file.
//
//   await new OctoStore("http://127.0.0.1:3000").hold("deploy/prod", {}, async (lease) => {
//     for (const part of parts) {
//       lease.check(); // throws, before another client can have the lock
//       await target.write(part, { fencingToken: lease.token, signal: lease.signal });
//     }
//   });
import { randomUUID } from "node:crypto";
import { appendFileSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const SLICE = 25; // seconds that one request waits: less than the read timeouts of proxies
const CONFIRM = 15; // seconds until the first renewal, so that a grant lost on the way ends soon

/** Seconds, on a clock that is never set, and that counts suspends where there is /proc. */
function now(): number {
  try {
    return Number.parseFloat(readFileSync("/proc/uptime", "utf8"));
  } catch {
    return performance.now() / 1000;
  }
}

/** An answer that is not a grant, or none: code is for programs (held, policy_denied, not_held, …). */
export class LockError extends Error {
  readonly code: string;
  readonly status: number;
  readonly pause: number; // seconds that the server wants to be left alone
  readonly passes: boolean; // the same request may get another answer in a while

  constructor(code: string, detail: string, status = 0, pause = 0) {
    super(detail);
    [this.code, this.status, this.pause] = [code, status, pause];
    this.passes = status >= 500 || [0, 408, 425, 429].includes(status) || ["held", "superseded"].includes(code);
  }
}

interface Grant { lease_id: string; fencing_token: number; server_ms: number; expires_in_ms: number }

export interface AcquireOptions { ttl?: number; wait?: number; holder?: string }

/** A server. */
export class OctoStore {
  readonly #url: string;
  readonly #headers: Record<string, string>;

  constructor(url: string, token?: string) {
    this.#url = url.replace(/\/$/, "");
    this.#headers = token ? { Authorization: `Bearer ${token}` } : {};
  }

  /** Works while it holds a lock: acquires it, and releases it at the end. */
  async hold<T>(name: string, options: AcquireOptions, work: (lease: Lease) => Promise<T>): Promise<T> {
    const lease = await this.acquire(name, options);
    const result = await work(lease).catch(async (error: unknown) => {
      await lease.release().catch(() => {}); // the error of the work says more
      throw error;
    });
    await lease.release();
    return result;
  }

  /** Waits for a lock for so many seconds, outages included. The lease renews itself until it is released. */
  async acquire(name: string, { ttl = 60, wait = 600, holder = "" }: AcquireOptions = {}): Promise<Lease> {
    const giveUp = now() + wait;
    let key = randomUUID(); // one key for all requests of one attempt: it keeps the place in the queue
    for (;;) {
      const sent = now();
      const slice = Math.max(0, Math.min(SLICE, giveUp - sent));
      const body = { holder, ttl: ms(ttl), confirm: ms(Math.min(ttl, CONFIRM)), wait: ms(slice) };
      const answer = await this.post(name, "acquire", slice + 10, { "Idempotency-Key": key }, body).catch(asLockError);
      if (!(answer instanceof LockError)) return Lease.confirmed(this, name, answer, sent);
      if (answer.code === "attempt_over") key = randomUUID(); // the grant was lost on the way, and its lease has ended
      else if (!answer.passes) throw answer;
      if (now() >= giveUp) throw answer;
      const pause = answer.pause || (now() - sent < 1 ? 1 : 0);
      await sleep(1000 * Math.max(0, Math.min(pause, giveUp - now())));
    }
  }

  /** Sends one request about a lock, and returns the answer if it is a good one of OctoStore. */
  async post(name: string, verb: string, timeout: number, headers: Record<string, string>, body = {}): Promise<Grant> {
    const url = `${this.#url}/v1/locks/${name.split("/").map(encodeURIComponent).join("/")}/${verb}`;
    const response = await fetch(url, {
      method: "POST",
      headers: { ...this.#headers, ...headers },
      body: JSON.stringify(body),
      redirect: "manual", // a login page is no grant
      signal: AbortSignal.timeout(Math.ceil(1000 * timeout)),
    });
    const answer = parse(await response.text());
    if (response.status === 200 && answer.fencing_token && (answer.lease_id || verb === "release")) return answer;
    const detail = answer.detail ?? `${url} answered ${response.status}, not the way OctoStore does`;
    const pause = Number.parseInt(response.headers.get("Retry-After") ?? "", 10) || 0;
    throw new LockError(answer.code ?? "unknown", detail, response.status, Math.min(pause, 60));
  }
}

/** A lock that is held. */
export class Lease {
  readonly name: string;
  readonly token: number; // the fencing token
  readonly #lost = new AbortController();
  readonly signal = this.#lost.signal; // aborts when the work has to stop, unless the work keeps the event loop busy
  readonly #store: OctoStore;
  readonly #headers: Record<string, string>;
  #sent = 0;
  #span = 0;
  #why = new LockError("not_held", "the lease has ended");

  private constructor(store: OctoStore, name: string, grant: Grant, sent: number) {
    [this.#store, this.name, this.token] = [store, name, grant.fencing_token];
    this.#headers = { "Octostore-Lease": grant.lease_id };
    this.#extend(grant, sent);
  }

  static async confirmed(store: OctoStore, name: string, grant: Grant, sent: number): Promise<Lease> {
    const lease = new Lease(store, name, grant, sent);
    for (; !(await lease.#renew()); await sleep(200)) lease.check();
    void lease.#keep();
    return lease;
  }

  /** Seconds until the work has to stop, which is a while before another client can have the lock. */
  left(): number {
    if (this.signal.aborted) return 0;
    return Math.max(0, this.#sent + this.#span - Math.min(5, this.#span / 6) - now());
  }

  /** Throws if the work has to stop. */
  check(): void {
    if (this.left() > 0) return;
    throw new LockError("not_held", `the lease of ${this.name} is lost: ${this.#why.message}`);
  }

  /** Gives the lock back. Throws not_held if the lease was over: the work was not alone to its end. */
  async release(): Promise<void> {
    this.#lost.abort(new LockError("not_held", "the lease was released"));
    const giveUp = now() + 10;
    for (let unsure = false; ; await sleep(1000)) {
      const answer = await this.#store.post(this.name, "release", 5, this.#headers).catch(asLockError);
      if (!(answer instanceof LockError)) return;
      if (answer.code === "not_held" && unsure) return; // released before, and only the answer was lost
      if (!answer.passes || now() >= giveUp) throw answer; // the lease ends by itself
      unsure ||= answer.status !== 429;
    }
  }

  // The lease counts from before the request was sent, so that it ends here before it ends there.
  #extend(grant: Grant, sent: number): void {
    [this.#sent, this.#span] = [sent, (grant.server_ms + grant.expires_in_ms) / 1000];
  }

  async #renew(): Promise<boolean> {
    const sent = now();
    const timeout = Math.max(0.2, Math.min(5, this.left()));
    const answer = await this.#store.post(this.name, "renew", timeout, this.#headers).catch(asLockError);
    if (!(answer instanceof LockError)) {
      this.#extend(answer, sent);
      return true;
    }
    this.#why = answer;
    if (answer.code === "not_held") this.#lost.abort(answer);
    return false;
  }

  async #keep(): Promise<void> { // it looks at the clock often, for the machine may have been suspended
    for (let due = this.#sent + this.#span / 3; this.left() > 0; ) {
      await sleep(1000 * Math.min(1, this.#span / 12), undefined, { ref: false });
      if (this.left() === 0 || now() < due) continue;
      due = (await this.#renew()) ? this.#sent + this.#span / 3 : now() + Math.min(5, this.#span / 12);
    }
    this.#lost.abort(this.#why);
  }
}

const ms = (seconds: number): string => `${Math.round(1000 * seconds)}ms`;

const asLockError = (error: unknown): LockError => {
  if (error instanceof LockError) return error;
  const { message, cause } = error as Error;
  return new LockError("unreachable", `no answer: ${cause instanceof Error ? cause.message : message}`);
};

function parse(text: string): Grant & { code?: string; detail?: string } {
  try {
    return Object(JSON.parse(text));
  } catch {
    return Object(null);
  }
}

// The example: for so many seconds, append the fencing token to a file ten times a second.
async function main(name: string, file: string, seconds: string): Promise<void> {
  const store = new OctoStore(process.env.OCTOSTORE_URL ?? "http://127.0.0.1:3000", process.env.OCTOSTORE_TOKEN);
  const [ttl, wait] = [Number(process.env.LOCK_TTL ?? 60), Number(process.env.LOCK_WAIT ?? 600)];
  await store.hold(name, { ttl, wait, holder: `node:${process.pid}` }, async (lease) => {
    process.once("SIGTERM", () => void lease.release().finally(() => process.exit(143)));
    console.log(`${name} is locked, with fencing token ${lease.token}`);
    for (const end = now() + Number(seconds); now() < end; await sleep(100)) {
      lease.check();
      appendFileSync(file, `${lease.token}\n`);
    }
  });
}

main(...(process.argv.slice(2) as [string, string, string])).catch((error: unknown) => {
  if (!(error instanceof LockError)) throw error;
  console.error(`lock.ts: ${error.message}`);
  const denied = { policy_denied: 77, forbidden: 77, unauthenticated: 77 };
  const codes: Record<string, number> = { held: 75, ...denied, not_held: 79 };
  process.exitCode = codes[error.code] ?? ([400, 413, 422].includes(error.status) ? 64 : 69);
});
