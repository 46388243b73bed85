;; What runtimes of languages want of WASI: Go's, and those of C and AssemblyScript. It
;; denies with the number of what is not as the page of the interface says.
(module
  (import "octostore_v1" "get"     (func $get     (param i32 i32 i32 i32) (result i32)))
  (import "octostore_v1" "get_i64" (func $get_i64 (param i32 i32) (result i64)))
  (import "octostore_v1" "deny"    (func $deny    (param i32 i32)))
  (import "wasi_snapshot_preview1" "args_get"            (func $args_get            (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get"      (func $args_sizes_get      (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get"         (func $environ_get         (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get"   (func $environ_sizes_get   (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"      (func $clock_time_get      (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_res_get"       (func $clock_res_get       (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get"          (func $random_get          (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"            (func $fd_write            (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"         (func $poll_oneoff         (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield"         (func $sched_yield         (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit"           (func $proc_exit           (param i32)))
  (import "wasi_snapshot_preview1" "fd_close"            (func $fd_close            (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get"       (func $fd_fdstat_get       (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $fd_fdstat_set_flags (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get"      (func $fd_prestat_get      (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek"             (func $fd_seek             (param i32 i64 i32 i32) (result i32)))

  (memory (export "memory") 1)
  (data (i32.const 0)  "now_ms")
  (data (i32.const 16) "holder")
  (data (i32.const 32) "what is wrong has the number A") ;; 30 bytes, the last is replaced
  (data (i32.const 64) "hello\n")
  (data (i32.const 80) "\40\00\00\00\06\00\00\00") ;; an iovec: 6 bytes at 64
  ;; 1024 and more: results

  (func $want (param $right i32) (param $letter i32) (result i32)
    (if (i32.eqz (local.get $right))
      (then
        (i32.store8 (i32.const 61) (local.get $letter))
        (call $deny (i32.const 32) (i32.const 30))))
    (i32.eqz (local.get $right)))

  (func (export "check") (result i32)
    ;; no arguments
    (drop (call $args_sizes_get (i32.const 1024) (i32.const 1028)))
    (drop (call $args_get (i32.const 1040) (i32.const 1044)))
    (if (call $want (i64.eqz (i64.load (i32.const 1024))) (i32.const 65)) (then (return (i32.const 1))))
    ;; one variable, which begins with GOMEMLIMIT
    (drop (call $environ_sizes_get (i32.const 1024) (i32.const 1028)))
    (drop (call $environ_get (i32.const 1040) (i32.const 1100)))
    (if (call $want (i32.eq (i32.load (i32.const 1024)) (i32.const 1)) (i32.const 66)) (then (return (i32.const 1))))
    (if (call $want (i64.eq (i64.load (i32.const 1100)) (i64.const 0x4d494c4d454d4f47)) (i32.const 67)) (then (return (i32.const 1))))
    ;; the clock stands at the time of the decision
    (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 1200)))
    (if (call $want
          (i64.eq (i64.load (i32.const 1200)) (i64.mul (call $get_i64 (i32.const 0) (i32.const 6)) (i64.const 1000000)))
          (i32.const 68))
      (then (return (i32.const 1))))
    (if (call $want (i32.eqz (call $clock_res_get (i32.const 0) (i32.const 1200))) (i32.const 69)) (then (return (i32.const 1))))
    ;; sleeping for 5 ms moves it on at once
    (i64.store (i32.const 1308) (i64.const 0))
    (i64.store (i32.const 1324) (i64.const 5000000))
    (if (call $want (i32.eqz (call $poll_oneoff (i32.const 1300) (i32.const 1400) (i32.const 1) (i32.const 1500))) (i32.const 70))
      (then (return (i32.const 1))))
    (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 1200)))
    (if (call $want
          (i64.eq (i64.load (i32.const 1200))
            (i64.add (i64.mul (call $get_i64 (i32.const 0) (i32.const 6)) (i64.const 1000000)) (i64.const 5000000)))
          (i32.const 71))
      (then (return (i32.const 1))))
    (if (call $want (i32.eqz (call $sched_yield)) (i32.const 72)) (then (return (i32.const 1))))
    ;; random bytes
    (drop (call $random_get (i32.const 1600) (i32.const 16)))
    (if (call $want (i64.ne (i64.load (i32.const 1600)) (i64.load (i32.const 1608))) (i32.const 73)) (then (return (i32.const 1))))
    ;; stdout and stderr, and no other file
    (if (call $want (i32.eqz (call $fd_write (i32.const 1) (i32.const 80) (i32.const 1) (i32.const 1700))) (i32.const 74))
      (then (return (i32.const 1))))
    (if (call $want (i32.eq (i32.load (i32.const 1700)) (i32.const 6)) (i32.const 75)) (then (return (i32.const 1))))
    (drop (call $fd_write (i32.const 2) (i32.const 80) (i32.const 1) (i32.const 1700)))
    (if (call $want (call $fd_write (i32.const 3) (i32.const 80) (i32.const 1) (i32.const 1700)) (i32.const 76)) (then (return (i32.const 1))))
    (if (call $want (call $fd_prestat_get (i32.const 3) (i32.const 1800)) (i32.const 77)) (then (return (i32.const 1))))
    (if (call $want (call $fd_prestat_dir_name (i32.const 3) (i32.const 1800) (i32.const 8)) (i32.const 78)) (then (return (i32.const 1))))
    (if (call $want (call $fd_seek (i32.const 3) (i64.const 0) (i32.const 0) (i32.const 1800)) (i32.const 79)) (then (return (i32.const 1))))
    (if (call $want (call $fd_close (i32.const 3)) (i32.const 80)) (then (return (i32.const 1))))
    (drop (call $fd_fdstat_get (i32.const 1) (i32.const 1800)))
    (drop (call $fd_fdstat_set_flags (i32.const 1) (i32.const 0)))
    ;; the holder "exit" has it exit, which traps
    (if (i32.eq (call $get (i32.const 16) (i32.const 6) (i32.const 1900) (i32.const 8)) (i32.const 4))
      (then (call $proc_exit (i32.const 0))))
    (i32.const 0)))
