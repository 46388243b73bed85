// A lock of an OctoStore server, for Node 20 or newer without packages. Copy this file.
//
//   await Lock.hold("deploy/prod", { url: "http://127.0.0.1:3000", token }, async (lock) => {
//     for (const part of parts) {
//       lock.check(); // throws, before another client can have the lock
//       await target.write(part, { fencingToken: lock.token, signal: lock.signal });
//     }
//   });
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { uptime as now } from "node:os"; // a clock that is never set, and that counts suspends
import { setTimeout as sleep } from "node:timers/promises";

const SLICE = 25; // seconds that one request waits: less than the read timeouts of proxies
const CONFIRM = 15; // seconds until the first renewal, so that a grant lost on the way ends soon

/** Anything but a grant: code is for programs (held, policy_denied, not_held, …), message for people. */
export class LockError extends Error {
  code: string;
  status: number;
  pause: number; // seconds that the server wants to be left alone

  constructor(code: string, message: string, status = 0, pause = 0) {
    super(message);
    [this.code, this.status, this.pause] = [code, status, pause];
  }
}

/** Sleeps until the next request. Throws the error if another request is of no use, or too late. */
async function waitOut(error: LockError, sent: number, giveUp: number): Promise<void> {
  const passes = ["held", "superseded", "attempt_over", "unreachable"].includes(error.code);
  if (!(passes || [408, 425, 429].includes(error.status) || error.status >= 500) || now() >= giveUp) throw error;
  const pause = error.pause || (now() - sent < 1 ? 1 : 0); // 0: the request itself has waited
  await sleep(1000 * Math.max(0, Math.min(pause, giveUp - now())));
}

interface Grant { lease_id: string; fencing_token: number; server_ms: number; expires_in_ms: number }

/** url and token say which server. ttl is seconds; so is wait, for which it waits at most, outages included. */
export interface Options { url: string; token?: string; ttl?: number; wait?: number; holder?: string }

/** A lock that is held. It renews itself. */
export class Lock {
  token = 0; // the fencing token: pass it along with every write
  readonly #lost = new AbortController();
  readonly signal = this.#lost.signal; // aborts when the work has to stop, unless it keeps the event loop busy
  readonly #url: string;
  readonly #headers: Record<string, string> = {};
  #stop = 0; // when the work has to stop
  #due = 0; // when the lease is to be renewed
  #tick = 0;
  #lease = {};
  #why = "it could not be renewed in time";

  private constructor(name: string, { url, token }: Options) {
    this.#url = `${url.replace(/\/$/, "")}/v1/locks/${name.split("/").map(encodeURIComponent).join("/")}`;
    if (token) this.#headers.Authorization = `Bearer ${token.replace(/\s/g, "")}`; // files end with a line break
  }

  /** Works while it holds a lock: acquires it, and releases it at the end. */
  static async hold(name: string, options: Options, work: (lock: Lock) => Promise<void>): Promise<void> {
    const lock = new Lock(name, options);
    await lock.#acquire(options);
    try {
      await work(lock);
    } catch (error) {
      await lock.release().catch(() => {}); // the error of the work says more
      throw error;
    }
    await lock.release();
  }

  /** Throws not_held if the work has to stop. It looks at the clock only: it never waits, and needs no timer. */
  check(): void {
    if (!this.signal.aborted && now() < this.#stop) return;
    throw new LockError("not_held", `the lease is lost: ${this.#why}`);
  }

  /** Gives the lock back. Throws not_held if the lease was over: the work was not alone to its end. */
  async release(): Promise<void> {
    this.#lost.abort();
    const giveUp = now() + 10;
    for (let again = false; ; again = true) {
      const sent = now();
      const answer = await this.#ask("release", 5, this.#lease);
      // The second time, an earlier request may have released it, and only the answer was lost.
      if (!(answer instanceof LockError) || (answer.code === "not_held" && again)) return;
      await waitOut(answer, sent, giveUp); // if it fails, the lease ends by itself
    }
  }

  async #acquire({ ttl = 60, wait = 600, holder = "" }: Options): Promise<void> {
    const giveUp = now() + wait;
    let key = randomUUID(); // one for all requests: it keeps the place in the queue
    for (;;) {
      const sent = now();
      const slice = Math.max(0, Math.min(SLICE, giveUp - sent));
      const body = { holder, ttl: `${ttl}s`, confirm: `${Math.min(ttl, CONFIRM)}s`, wait: `${slice.toFixed(3)}s` };
      const answer = await this.#ask("acquire", slice + 10, { "Idempotency-Key": key }, body);
      if (!(answer instanceof LockError)) {
        [this.token, this.#lease] = [answer.fencing_token, { "Octostore-Lease": answer.lease_id }];
        break;
      }
      if (answer.code === "attempt_over") key = randomUUID(); // the grant was lost on the way, and its lease has ended
      await waitOut(answer, sent, giveUp);
    }
    this.#stop = now() + CONFIRM;
    for (; !(await this.#renew()); await sleep(200)) this.check(); // it confirms the lease: only then the work begins
    void this.#keep();
  }

  async #renew(): Promise<boolean> {
    const sent = now();
    const answer = await this.#ask("renew", Math.max(0.2, Math.min(5, this.#stop - sent)), this.#lease);
    if (answer instanceof LockError) {
      this.#why = answer.message;
      if (answer.code === "not_held") this.#stop = 0;
      return false;
    }
    const span = (answer.server_ms + answer.expires_in_ms) / 1000; // from before it was sent: it ends here first
    this.#stop = sent + span - Math.min(5, span / 6);
    this.#due = sent + span / 3;
    this.#tick = Math.min(1, span / 12);
    return true;
  }

  async #keep(): Promise<void> { // it looks at the clock often, for the machine may have been suspended
    while (!this.signal.aborted && now() < this.#stop) {
      if (now() >= this.#due) await this.#renew();
      await sleep(1000 * this.#tick, undefined, { ref: false });
    }
    this.#lost.abort();
  }

  /** Sends one request. The answer is a grant only if it is status 200 with all that a grant has. */
  async #ask(verb: string, timeout: number, headers: object, body = {}): Promise<Grant | LockError> {
    try {
      const response = await fetch(`${this.#url}/${verb}`, {
        method: "POST",
        headers: { ...this.#headers, ...headers },
        body: JSON.stringify(body),
        redirect: "manual", // a login page is no grant
        signal: AbortSignal.timeout(Math.ceil(1000 * timeout)),
      });
      const text = await response.text();
      const answer = JSON.parse(text.startsWith("{") ? text : "{}");
      const granted = answer.lease_id && Number.isInteger(answer.server_ms + answer.expires_in_ms);
      if (response.status === 200 && answer.fencing_token > 0 && (granted || verb === "release")) return answer;
      const detail = answer.detail ?? `${this.#url} answered ${response.status}, not the way OctoStore does`;
      return new LockError(answer.code, detail, response.status, Number(response.headers.get("Retry-After")) || 0);
    } catch (error) {
      const { name, cause } = error as Error; // not the message, which may have a header
      return new LockError("unreachable", `no answer: ${cause instanceof Error ? cause.message : name}`);
    }
  }
}

// The example: for so many seconds, append the fencing token to a file ten times a second.
const [name, file, seconds] = process.argv.slice(2) as [string, string, string];
const { OCTOSTORE_URL: url = "http://127.0.0.1:3000", OCTOSTORE_TOKEN: token, LOCK_TTL, LOCK_WAIT } = process.env;
const [ttl, wait, holder] = [Number(LOCK_TTL ?? 60), Number(LOCK_WAIT ?? 600), `node:${process.pid}`];
try {
  await Lock.hold(name, { url, token, ttl, wait, holder }, async (lock) => {
    process.once("SIGTERM", () => void lock.release().finally(() => process.exit(143)));
    console.log(`${name} is locked, with fencing token ${lock.token}`);
    for (const end = now() + Number(seconds); now() < end; await sleep(100)) {
      lock.check();
      appendFileSync(file, `${lock.token}\n`);
    }
  });
} catch (error) {
  if (!(error instanceof LockError)) throw error;
  console.error(`lock.ts: ${error.message}`);
  const denied = { policy_denied: 77, forbidden: 77, unauthenticated: 77 };
  const codes: Record<string, number> = { held: 75, ...denied, not_held: 79 };
  process.exitCode = codes[error.code] ?? ([400, 413, 422].includes(error.status) ? 64 : 69);
}
