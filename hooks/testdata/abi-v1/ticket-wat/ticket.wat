;; A policy: who takes a lock names a ticket, and holds it for a quarter of an hour at most.
(module
  (import "octostore_v1" "get"  (func $get  (param i32 i32 i32 i32) (result i32)))
  (import "octostore_v1" "deny" (func $deny (param i32 i32)))
  (import "octostore_v1" "cap"  (func $cap  (param i32 i32 i64)))
  (import "octostore_v1" "note" (func $note (param i32 i32 i32 i32)))

  (memory (export "memory") 1)
  (data (i32.const 0)   "metadata.ticket") ;; the ticket alone begins at 9
  (data (i32.const 16)  "ttl_ms")
  (data (i32.const 32)  "a ticket is needed: add meta.ticket=OPS-7")
  (data (i32.const 80)  "a ticket has at most 64 bytes")
  ;; 128 to 191: the ticket

  (func (export "check") (result i32)
    (local $n i32)
    (local.set $n (call $get (i32.const 0) (i32.const 15) (i32.const 128) (i32.const 64)))
    (if (i32.le_s (local.get $n) (i32.const 0)) ;; -1: there is none
      (then
        (call $deny (i32.const 32) (i32.const 41))
        (return (i32.const 1))))
    (if (i32.gt_s (local.get $n) (i32.const 64))
      (then
        (call $deny (i32.const 80) (i32.const 29))
        (return (i32.const 1))))
    (call $note (i32.const 9) (i32.const 6) (i32.const 128) (local.get $n))
    (call $cap (i32.const 16) (i32.const 6) (i64.const 900000))
    (i32.const 0)))
