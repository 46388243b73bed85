//! Locks of an OctoStore server, with ureq 3 and serde_json. Copy this file.
//!
//! ```ignore
//! let lock = Server::new("http://127.0.0.1:3000", None).acquire("deploy/prod", ttl, wait, "ci-7")?;
//! for part in parts {
//!     lock.check()?; // an error, before another client can have the lock
//!     target.write(part, lock.token())?;
//! }
//! lock.release()?;
//! ```
use serde_json::{json, Value};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use std::{cmp, fmt, fs, thread};

const SLICE: Duration = Duration::from_secs(25); // how long one request waits: less than the read timeouts of proxies
const CONFIRM: Duration = Duration::from_secs(15); // until the first renewal, so that a grant lost on the way ends soon
const SECOND: Duration = Duration::from_secs(1);

/// An answer that is not a grant, or none: code is for programs (held, policy_denied, not_held, …).
#[derive(Clone, Debug, Default)]
pub struct Error {
    pub code: String,
    pub detail: String,
    pub status: u16,
    pause: Duration, // that the server asks for
}

impl Error {
    /// Whether the same request may get another answer in a while.
    fn passes(&self) -> bool {
        let code = self.code.as_str();
        matches!(self.status, 408 | 425 | 429 | 500..) || matches!(code, "unreachable" | "held" | "superseded")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {}

/// A server. Threads may share it.
#[derive(Clone)]
pub struct Server {
    url: String,
    token: Option<String>,
    agent: ureq::Agent,
}

impl Server {
    pub fn new(url: &str, token: Option<&str>) -> Server {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let config = config.max_redirects(0).max_redirects_will_error(false).build(); // a login page is no grant
        Server { url: url.trim_end_matches('/').into(), token: token.map(Into::into), agent: config.into() }
    }

    /// Waits for a lock, outages included. The lease renews itself until it is released or dropped.
    pub fn acquire(&self, name: &str, ttl: Duration, wait: Duration, holder: &str) -> Result<Lock, Error> {
        let give_up = now() + wait;
        let mut key = random_key(); // one key for all requests of one attempt: it keeps the place in the queue
        loop {
            let sent = now();
            let slice = cmp::min(SLICE, give_up.saturating_sub(sent));
            let confirm = cmp::min(ttl, CONFIRM);
            let body = json!({"holder": holder, "ttl": ms(ttl), "confirm": ms(confirm), "wait": ms(slice)});
            let error = match self.post([name, "acquire"], slice + 10 * SECOND, ("Idempotency-Key", &key), body) {
                Ok(grant) => return Lock::confirmed(self.clone(), name, &grant, sent),
                Err(error) => error,
            };
            if error.code == "attempt_over" {
                key = random_key(); // the grant was lost on the way, and its lease has ended
            } else if !error.passes() {
                return Err(error);
            }
            if now() >= give_up {
                return Err(error);
            }
            let quick = if now() - sent < SECOND { SECOND } else { Duration::ZERO };
            let pause = if error.pause.is_zero() { quick } else { error.pause };
            thread::sleep(cmp::min(pause, give_up.saturating_sub(now())));
        }
    }

    /// Sends one request about a lock, and returns the answer if it is a good one of OctoStore.
    fn post(&self, path: [&str; 2], most: Duration, header: (&str, &str), body: Value) -> Result<Value, Error> {
        let [name, verb] = path;
        let url = format!("{}/v1/locks/{}/{verb}", self.url, encode(name));
        let request = self.agent.post(&url).config().timeout_global(Some(most)).build().header(header.0, header.1);
        let request = match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        };
        let unreachable = |e: ureq::Error| Error {
            code: "unreachable".into(),
            detail: format!("no answer from {}: {e}", self.url),
            ..Error::default()
        };
        let mut response = request.send(body.to_string()).map_err(unreachable)?;
        let text = response.body_mut().read_to_string().map_err(unreachable)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let status = response.status().as_u16();
        let granted = answer["lease_id"].as_str().is_some_and(|id| !id.is_empty()) || verb == "release";
        if status == 200 && granted && answer["fencing_token"].as_u64() > Some(0) {
            return Ok(answer);
        }
        let pause = response.headers().get("Retry-After").and_then(|v| v.to_str().ok()?.parse().ok()).unwrap_or(0);
        let text = |member: &str, or: &str| answer[member].as_str().unwrap_or(or).to_string();
        Err(Error {
            code: text("code", "unknown"),
            detail: text("detail", &format!("{url} answered {status}, not the way OctoStore does")),
            status,
            pause: Duration::from_secs(cmp::min(pause, 60)),
        })
    }
}

/// A lock that is held. Dropping it releases it, too.
pub struct Lock {
    lease: Arc<Lease>,
    keeper: Option<mpsc::Sender<()>>, // its end stops the renewals
}

struct Lease {
    server: Server,
    name: String,
    id: String,
    token: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sent: Duration,
    span: Duration,
    why: Option<Error>, // the last renewal failed
    lost: bool,
}

impl Lock {
    fn confirmed(server: Server, name: &str, grant: &Value, sent: Duration) -> Result<Lock, Error> {
        let id = grant["lease_id"].as_str().unwrap_or_default().to_string();
        let token = grant["fencing_token"].as_u64().unwrap_or_default();
        let lease = Arc::new(Lease { server, name: name.into(), id, token, state: Mutex::default() });
        lease.extend(grant, sent);
        while !lease.renew() {
            // at once, which confirms the lease
            lease.check()?;
            thread::sleep(SECOND / 5);
        }
        let (keeper, stop) = mpsc::channel();
        let kept = lease.clone();
        thread::spawn(move || kept.keep(stop));
        Ok(Lock { lease, keeper: Some(keeper) })
    }

    /// The fencing token: pass it along with every write.
    pub fn token(&self) -> u64 {
        self.lease.token
    }

    /// An error if the work has to stop, which is a while before another client can have the lock.
    pub fn check(&self) -> Result<(), Error> {
        self.lease.check()
    }

    /// Gives the lock back. Error not_held: the lease was over, so the work was not alone to its end.
    pub fn release(mut self) -> Result<(), Error> {
        self.keeper = None;
        self.lease.release()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.keeper.take().is_some() {
            let _ = self.lease.release(); // else it ends by itself
        }
    }
}

impl Lease {
    // The lease counts from before the request was sent, so that it ends here before it ends there.
    fn extend(&self, answer: &Value, sent: Duration) {
        let of = |member: &str| Duration::from_millis(answer[member].as_u64().unwrap_or_default());
        *self.state.lock().unwrap() = State { sent, span: of("server_ms") + of("expires_in_ms"), ..State::default() };
    }

    fn left(&self) -> Duration {
        let state = self.state.lock().unwrap();
        let stop = state.sent + state.span - cmp::min(5 * SECOND, state.span / 6);
        if state.lost {
            Duration::ZERO
        } else {
            stop.saturating_sub(now())
        }
    }

    fn check(&self) -> Result<(), Error> {
        if !self.left().is_zero() {
            return Ok(());
        }
        let why = self.state.lock().unwrap().why.clone().unwrap_or_default();
        let detail = format!("the lease of {} is lost: {}", self.name, why.detail);
        Err(Error { code: "not_held".into(), detail, ..why })
    }

    fn post(&self, verb: &str, most: Duration) -> Result<Value, Error> {
        self.server.post([&self.name, verb], most, ("Octostore-Lease", &self.id), json!({}))
    }

    fn renew(&self) -> bool {
        let sent = now();
        match self.post("renew", self.left().clamp(SECOND / 5, 5 * SECOND)) {
            Ok(answer) => self.extend(&answer, sent),
            Err(error) => {
                let mut state = self.state.lock().unwrap();
                state.lost |= error.code == "not_held";
                state.why = Some(error);
                return false;
            }
        }
        true
    }

    // It looks at the clock often, for the machine may have been suspended.
    fn keep(&self, stop: mpsc::Receiver<()>) {
        let times = || {
            let state = self.state.lock().unwrap();
            (state.sent + state.span / 3, state.span / 12)
        };
        let (mut due, mut tick) = times();
        while stop.recv_timeout(cmp::min(SECOND, tick)) == Err(RecvTimeoutError::Timeout) && !self.left().is_zero() {
            if now() >= due {
                (due, tick) = if self.renew() { times() } else { (now() + cmp::min(5 * SECOND, tick), tick) };
            }
        }
        self.state.lock().unwrap().lost = true;
    }

    fn release(&self) -> Result<(), Error> {
        let (give_up, mut unsure) = (now() + 10 * SECOND, false);
        loop {
            match self.post("release", 5 * SECOND) {
                Ok(_) => return Ok(()),
                Err(e) if e.code == "not_held" && unsure => return Ok(()), // its answer was lost
                Err(e) if !e.passes() || now() >= give_up => return Err(e), // the lease ends by itself
                Err(e) => unsure |= e.status != 429,
            }
            thread::sleep(SECOND);
        }
    }
}

// A clock that is never set, and that counts suspends where there is /proc.
fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let uptime = fs::read_to_string("/proc/uptime").ok();
    let seconds = uptime.and_then(|text| text.split(' ').next()?.parse().ok());
    seconds.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_secs_f64)
}

// The standard library seeds its hashers at random.
fn random_key() -> String {
    let number = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", number(), number())
}

fn ms(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

fn encode(name: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"._~:@+-/".contains(b);
    name.bytes().map(|b| if plain(&b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}
