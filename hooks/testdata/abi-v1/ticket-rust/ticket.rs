//! A policy: who takes a lock names a ticket, and holds it for a quarter of an hour at most.
#![no_std]

#[link(wasm_import_module = "octostore_v1")]
extern "C" {
    fn get(key: *const u8, key_len: usize, buf: *mut u8, cap: usize) -> i32;
    fn deny(reason: *const u8, reason_len: usize);
    fn cap(key: *const u8, key_len: usize, n: i64);
    fn note(key: *const u8, key_len: usize, value: *const u8, value_len: usize);
}

const ALLOW: i32 = 0;
const DENY: i32 = 1;

fn denied(reason: &str) -> i32 {
    unsafe { deny(reason.as_ptr(), reason.len()) };
    DENY
}

#[no_mangle]
pub extern "C" fn check() -> i32 {
    let mut ticket = [0u8; 64];
    let field = "metadata.ticket";
    let n = unsafe { get(field.as_ptr(), field.len(), ticket.as_mut_ptr(), ticket.len()) };
    if n <= 0 {
        return denied("a ticket is needed: add meta.ticket=OPS-7"); // -1: there is none
    }
    if n as usize > ticket.len() {
        return denied("a ticket has at most 64 bytes");
    }
    let (name, limit) = ("ticket", "ttl_ms");
    unsafe {
        note(name.as_ptr(), name.len(), ticket.as_ptr(), n as usize);
        cap(limit.as_ptr(), limit.len(), 15 * 60 * 1000);
    }
    ALLOW
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
