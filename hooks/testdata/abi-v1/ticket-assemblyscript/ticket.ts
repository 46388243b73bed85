// A policy: who takes a lock names a ticket, and holds it for a quarter of an hour at most.

@external("octostore_v1", "get")
declare function get(key: usize, keyLen: i32, buf: usize, cap: i32): i32;
@external("octostore_v1", "deny")
declare function denyWith(reason: usize, reasonLen: i32): void;
@external("octostore_v1", "cap")
declare function cap(key: usize, keyLen: i32, n: i64): void;
@external("octostore_v1", "note")
declare function note(key: usize, keyLen: i32, value: usize, valueLen: i32): void;

const ALLOW = 0;
const DENY = 1;

// What is said to the server is UTF-8; it is encoded once, at the start.
const field = String.UTF8.encode("metadata.ticket");
const name = String.UTF8.encode("ticket");
const limit = String.UTF8.encode("ttl_ms");
const missing = String.UTF8.encode("a ticket is needed: add meta.ticket=OPS-7");
const tooLong = String.UTF8.encode("a ticket has at most 64 bytes");
const ticket = new ArrayBuffer(64);

function at(text: ArrayBuffer): usize {
  return changetype<usize>(text);
}

function deny(reason: ArrayBuffer): i32 {
  denyWith(at(reason), reason.byteLength);
  return DENY;
}

export function check(): i32 {
  const n = get(at(field), field.byteLength, at(ticket), ticket.byteLength);
  if (n <= 0) return deny(missing); // -1: there is none
  if (n > ticket.byteLength) return deny(tooLong);
  note(at(name), name.byteLength, at(ticket), n);
  cap(at(limit), limit.byteLength, 15 * 60 * 1000);
  return ALLOW;
}
