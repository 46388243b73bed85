//! A lock of an OctoStore server, with ureq 3 and serde_json. Copy this file up to the line "The example".
//!
//! ```ignore
//! let lock = Lock::acquire("http://127.0.0.1:3000", &token, "deploy/prod", ttl, wait, "ci-7")?;
//! for part in parts {
//!     lock.check()?; // an error, before another client can have the lock
//!     target.write(part, lock.token)?;
//! }
//! lock.release()?; // without it the lease is no longer renewed, and ends with its ttl
//! ```
use serde_json::{json, Value};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use std::{env, fs, io::Write, process, thread};

const SLICE: Duration = Duration::from_secs(25); // how long one request waits: less than the read timeouts of proxies
const CONFIRM: Duration = Duration::from_secs(15); // until the first renewal, so that a grant lost on the way ends soon
const SECOND: Duration = Duration::from_secs(1);

/// Anything but a grant: code is for programs (held, policy_denied, not_held, …), detail for people.
#[derive(Clone, Debug, Default)]
pub struct Error {
    pub code: String,
    pub detail: String,
    pub status: u16,
    pause: u64, // seconds, that the server asks for
}

impl Error {
    /// Sleeps until the next request. Returns the error if another request is of no use, or too late.
    fn wait_out(self, sent: Duration, give_up: Duration) -> Result<(), Error> {
        let passes = ["held", "superseded", "attempt_over", "unreachable"].contains(&self.code.as_str());
        if !(passes || matches!(self.status, 408 | 425 | 429 | 500..)) || now() >= give_up {
            return Err(self);
        }
        let quick = if now() - sent < SECOND { 1 } else { 0 }; // else the request itself has waited
        let pause = Duration::from_secs(if self.pause > 0 { self.pause } else { quick });
        thread::sleep(pause.min(give_up.saturating_sub(now())));
        Ok(())
    }
}

/// A lock that is held. It renews itself until it is released or dropped.
pub struct Lock {
    pub token: u64, // the fencing token: pass it along with every write
    lease: String,
    url: String,
    auth: Option<String>,
    agent: ureq::Agent,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stop: Duration, // when the work has to stop
    due: Duration,  // when the lease is to be renewed
    tick: Duration,
    released: bool,
    why: String,
}

impl Lock {
    /// Waits for a lock, outages included.
    pub fn acquire(
        url: &str,
        token: &str,
        name: &str,
        ttl: Duration,
        wait: Duration,
        holder: &str,
    ) -> Result<Arc<Lock>, Error> {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let config = config.max_redirects(0).max_redirects_will_error(false).build(); // a login page is no grant
        let url = format!("{}/v1/locks/{}", url.trim_end_matches('/'), encode(name));
        let auth = (!token.is_empty()).then(|| format!("Bearer {}", token.split_whitespace().collect::<String>()));
        let mut lock =
            Lock { token: 0, lease: String::new(), url, auth, agent: config.into(), state: Mutex::default() };
        let give_up = now() + wait;
        let ms = |time: Duration| format!("{}ms", time.as_millis());
        let random = || format!("{:016x}", RandomState::new().hash_one(()));
        let mut key = random(); // one for all requests: it keeps the place in the queue
        let grant = loop {
            let (sent, confirm) = (now(), ttl.min(CONFIRM));
            let slice = SLICE.min(give_up.saturating_sub(sent));
            let body = json!({"holder": holder, "ttl": ms(ttl), "confirm": ms(confirm), "wait": ms(slice)});
            match lock.ask("acquire", slice + 10 * SECOND, ("Idempotency-Key", &key), body) {
                Ok(grant) => break grant,
                Err(error) => {
                    if error.code == "attempt_over" {
                        key = random(); // the grant was lost on the way, and its lease has ended
                    }
                    error.wait_out(sent, give_up)?;
                }
            }
        };
        lock.token = grant["fencing_token"].as_u64().unwrap_or_default();
        lock.lease = grant["lease_id"].as_str().unwrap_or_default().to_string();
        let why = "it could not be renewed in time".into();
        lock.state = Mutex::new(State { stop: now() + CONFIRM, why, ..State::default() });
        while !lock.renew() {
            // at once, which confirms the lease: only then the work begins
            lock.check()?;
            thread::sleep(SECOND / 5);
        }
        let lock = Arc::new(lock);
        let kept = Arc::downgrade(&lock);
        thread::spawn(move || while kept.upgrade().is_some_and(|lock| lock.keep()) {});
        Ok(lock)
    }

    /// An error if the work has to stop. It looks at the clock only, so that it never waits.
    pub fn check(&self) -> Result<(), Error> {
        let state = self.state.lock().unwrap();
        if !state.released && now() < state.stop {
            return Ok(());
        }
        let detail = format!("the lease at {} is lost: {}", self.url, state.why);
        Err(Error { code: "not_held".into(), detail, ..Error::default() })
    }

    /// Gives the lock back. Error not_held: the lease was over, so the work was not alone to its end.
    pub fn release(&self) -> Result<(), Error> {
        self.state.lock().unwrap().released = true;
        let (give_up, mut again) = (now() + 10 * SECOND, false);
        loop {
            let sent = now();
            match self.ask("release", 5 * SECOND, ("Octostore-Lease", &self.lease), json!({})) {
                Ok(_) => return Ok(()),
                Err(e) if again && e.code == "not_held" => return Ok(()), // only the answer was lost
                Err(e) => e.wait_out(sent, give_up)?,                     // if it fails, the lease ends by itself
            }
            again = true;
        }
    }

    fn renew(&self) -> bool {
        let sent = now();
        let left = self.state.lock().unwrap().stop.saturating_sub(sent);
        let answer = self.ask("renew", left.clamp(SECOND / 5, 5 * SECOND), ("Octostore-Lease", &self.lease), json!({}));
        let mut state = self.state.lock().unwrap();
        match answer {
            Ok(grant) => {
                // The lease counts from before the request was sent, so that it ends here before it ends there.
                let of = |member: &str| Duration::from_millis(grant[member].as_u64().unwrap_or_default());
                let span = of("server_ms") + of("expires_in_ms");
                (state.due, state.tick) = (sent + span / 3, SECOND.min(span / 12));
                state.stop = sent + span - (5 * SECOND).min(span / 6);
                return true;
            }
            Err(error) => {
                state.why = error.detail;
                state.stop = if error.code == "not_held" { Duration::ZERO } else { state.stop };
            }
        }
        false
    }

    /// One round of the thread that renews. It looks at the clock often, for the machine may have been suspended.
    fn keep(&self) -> bool {
        let (tick, due) = {
            let state = self.state.lock().unwrap();
            (state.tick, state.due)
        };
        if now() >= due {
            self.renew();
        }
        thread::sleep(tick);
        self.check().is_ok()
    }

    /// Sends one request, and returns the answer if it is status 200 with all that a grant has.
    fn ask(&self, verb: &str, most: Duration, header: (&str, &str), body: Value) -> Result<Value, Error> {
        let url = format!("{}/{verb}", self.url);
        let mut request = self.agent.post(&url).config().timeout_global(Some(most)).build().header(header.0, header.1);
        if let Some(auth) = &self.auth {
            request = request.header("Authorization", auth);
        }
        let unreachable = |e: ureq::Error| Error {
            code: "unreachable".into(),
            detail: format!("no answer from {url}: {e}"),
            ..Error::default()
        };
        let mut response = request.send(body.to_string()).map_err(unreachable)?;
        let text = response.body_mut().read_to_string().map_err(unreachable)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let status = response.status().as_u16();
        let numbers = ["fencing_token", "server_ms", "expires_in_ms"].map(|member| answer[member].is_u64());
        let granted = verb == "release" || (numbers == [true; 3] && answer["lease_id"].is_string());
        if status == 200 && granted && numbers[0] {
            return Ok(answer);
        }
        let pause = response.headers().get("Retry-After").and_then(|v| v.to_str().ok()?.parse().ok()).unwrap_or(0);
        let text = |member: &str, or: &str| answer[member].as_str().unwrap_or(or).to_string();
        let detail = text("detail", &format!("{url} answered {status}, not the way OctoStore does"));
        Err(Error { code: text("code", "unknown"), detail, status, pause })
    }
}

// A clock that is never set, and that counts suspends where there is /proc.
fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let uptime = fs::read_to_string("/proc/uptime").ok();
    let seconds = uptime.and_then(|text| text.split(' ').next()?.parse().ok());
    seconds.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_secs_f64)
}

fn encode(name: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"._~:@+-/".contains(b);
    name.bytes().map(|b| if plain(&b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

// The example: NAME FILE SECONDS; it appends the fencing token to a file, ten times a second.
fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let Err(error) = run(&args[0], &args[1], args[2].parse().expect("SECONDS")) else { return };
    eprintln!("lock: {}", error.detail);
    process::exit(match error.code.as_str() {
        "held" => 75,
        "policy_denied" | "forbidden" | "unauthenticated" => 77,
        "not_held" => 79,
        _ if matches!(error.status, 400 | 413 | 422) => 64,
        _ => 69,
    });
}

fn run(name: &str, file: &str, seconds: u64) -> Result<(), Error> {
    let setting = |name, or: &str| env::var(name).unwrap_or(or.into());
    let time = |name, or| Duration::from_secs(setting(name, or).parse().expect(name));
    let (url, token) = (setting("OCTOSTORE_URL", "http://127.0.0.1:3000"), setting("OCTOSTORE_TOKEN", ""));
    let (ttl, wait, holder) = (time("LOCK_TTL", "60"), time("LOCK_WAIT", "600"), format!("rust:{}", process::id()));
    let lock = Lock::acquire(&url, &token, name, ttl, wait, &holder)?;
    println!("{name} is locked, with fencing token {}", lock.token);
    let mut file = fs::OpenOptions::new().create(true).append(true).open(file).expect("FILE");
    let mut worked = Ok(());
    for _ in 0..seconds * 10 {
        worked = lock.check();
        if worked.is_err() {
            break;
        }
        writeln!(file, "{}", lock.token).expect("FILE");
        thread::sleep(SECOND / 10);
    }
    let released = lock.release(); // in any case
    worked.and(released)
}
