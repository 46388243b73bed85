//! The example: NAME FILE SECONDS; it appends the fencing token to a file, ten times a second.
mod lock;

use lock::{Error, Lock, Server};
use std::{env, fs::OpenOptions, io::Write, process, thread, time::Duration, time::Instant};

fn main() {
    let args: Vec<String> = env::args().collect();
    let [_, name, file, seconds] = &args[..] else {
        eprintln!("usage: lock NAME FILE SECONDS");
        process::exit(64);
    };
    let seconds = seconds.parse().expect("SECONDS is a number");
    if let Err(error) = run(name, file, Duration::from_secs(seconds)) {
        eprintln!("lock: {error}");
        process::exit(match error.code.as_str() {
            "held" => 75,
            "policy_denied" | "forbidden" | "unauthenticated" => 77,
            "not_held" => 79,
            _ if matches!(error.status, 400 | 413 | 422) => 64,
            _ => 69,
        });
    }
}

fn run(name: &str, file: &str, long: Duration) -> Result<(), Error> {
    let url = env::var("OCTOSTORE_URL").unwrap_or("http://127.0.0.1:3000".into());
    let server = Server::new(&url, env::var("OCTOSTORE_TOKEN").ok().as_deref());
    let holder = format!("rust:{}", process::id());
    let lock = server.acquire(name, setting("LOCK_TTL", 60), setting("LOCK_WAIT", 600), &holder)?;
    println!("{name} is locked, with fencing token {}", lock.token());
    work(&lock, file, long)?; // at an error, lock is dropped, which releases it too
    lock.release()
}

fn work(lock: &Lock, file: &str, long: Duration) -> Result<(), Error> {
    let mut file = OpenOptions::new().create(true).append(true).open(file).expect("the file can be written");
    let begun = Instant::now();
    while begun.elapsed() < long {
        lock.check()?;
        writeln!(file, "{}", lock.token()).expect("the file can be written");
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn setting(name: &str, seconds: u64) -> Duration {
    Duration::from_secs(env::var(name).map_or(seconds, |s| s.parse().expect("seconds")))
}
