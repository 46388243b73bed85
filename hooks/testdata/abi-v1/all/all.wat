;; Everything that version 1 offers, by what the metadata of a request asks for:
;;   show=KEY    denies with the text of that field, or allows and notes that it is absent
;;   number=KEY  denies, to be asked again after so many ms, or allows and notes that it is none
;;   cap=KEY     caps that at 5000
;;   result=…    returns 7
;;   far=…       denies with a text that is outside of the memory
;; and otherwise allows and notes what it was configured with.
(module
  (import "octostore_v1" "get"            (func $get            (param i32 i32 i32 i32) (result i32)))
  (import "octostore_v1" "get_i64"        (func $get_i64        (param i32 i32) (result i64)))
  (import "octostore_v1" "deny"           (func $deny           (param i32 i32)))
  (import "octostore_v1" "retry_after_ms" (func $retry_after_ms (param i64)))
  (import "octostore_v1" "cap"            (func $cap            (param i32 i32 i64)))
  (import "octostore_v1" "note"           (func $note           (param i32 i32 i32 i32)))
  (import "octostore_v1" "log"            (func $log            (param i32 i32 i32)))

  (memory (export "memory") 1)
  (data (i32.const 0)   "metadata.show")
  (data (i32.const 16)  "metadata.number")
  (data (i32.const 32)  "metadata.cap")
  (data (i32.const 48)  "metadata.result")
  (data (i32.const 64)  "metadata.far")
  (data (i32.const 80)  "config")
  (data (i32.const 96)  "event")
  (data (i32.const 112) "absent")
  (data (i32.const 128) "no number")
  (data (i32.const 144) "configured")
  (data (i32.const 160) "it is configured with nothing")
  (data (i32.const 192) "asked")
  ;; 1024: the name of a key; 2048: the text of a field; 8192: the configuration

  (global $initialized (mut i32) (i32.const 0))
  (global $length (mut i32) (i32.const -1)) ;; of the configuration

  (func (export "_initialize")
    (global.set $initialized (i32.const 1)))

  (func (export "configure") (result i32)
    (global.set $length (call $get (i32.const 80) (i32.const 6) (i32.const 8192) (i32.const 512)))
    (call $log (i32.const 0) (i32.const 144) (i32.const 10))
    (if (i32.le_s (global.get $length) (i32.const 2)) ;; {}
      (then
        (call $deny (i32.const 160) (i32.const 29))
        (return (i32.const 1))))
    (i32.const 0))

  (func (export "check") (result i32)
    (local $n i32)
    (local $m i32)
    (local $v i64)
    (if (i32.eqz (global.get $initialized))
      (then (return (i32.const 9))))
    (call $log (i32.const 1) (i32.const 192) (i32.const 5))

    ;; show
    (local.set $n (call $get (i32.const 0) (i32.const 13) (i32.const 1024) (i32.const 512)))
    (if (i32.ge_s (local.get $n) (i32.const 0))
      (then
        (local.set $m (call $get (i32.const 1024) (local.get $n) (i32.const 2048) (i32.const 4096)))
        (if (i32.lt_s (local.get $m) (i32.const 0))
          (then
            (call $note (i32.const 112) (i32.const 6) (i32.const 1024) (local.get $n))
            (return (i32.const 0))))
        (call $deny (i32.const 2048) (local.get $m))
        (return (i32.const 1))))

    ;; number
    (local.set $n (call $get (i32.const 16) (i32.const 15) (i32.const 1024) (i32.const 512)))
    (if (i32.ge_s (local.get $n) (i32.const 0))
      (then
        (local.set $v (call $get_i64 (i32.const 1024) (local.get $n)))
        (if (i64.eq (local.get $v) (i64.const 0x8000000000000000))
          (then
            (call $note (i32.const 128) (i32.const 9) (i32.const 1024) (local.get $n))
            (return (i32.const 0))))
        (call $deny (i32.const 1024) (local.get $n))
        (call $retry_after_ms (local.get $v))
        (return (i32.const 1))))

    ;; cap
    (local.set $n (call $get (i32.const 32) (i32.const 12) (i32.const 1024) (i32.const 512)))
    (if (i32.ge_s (local.get $n) (i32.const 0))
      (then
        (call $cap (i32.const 1024) (local.get $n) (i64.const 5000))
        (return (i32.const 0))))

    ;; result; asking with no room tells the size
    (if (i32.ge_s (call $get (i32.const 48) (i32.const 15) (i32.const 0) (i32.const 0)) (i32.const 0))
      (then (return (i32.const 7))))

    ;; far
    (if (i32.ge_s (call $get (i32.const 64) (i32.const 12) (i32.const 0) (i32.const 0)) (i32.const 0))
      (then
        (call $deny (i32.const 65530) (i32.const 100))
        (return (i32.const 1))))

    (call $note (i32.const 144) (i32.const 10) (i32.const 8192) (global.get $length))
    (i32.const 0))

  ;; An event is done if it is there.
  (func (export "observe") (result i32)
    (i32.le_s (call $get (i32.const 96) (i32.const 5) (i32.const 2048) (i32.const 4096)) (i32.const 0))))
