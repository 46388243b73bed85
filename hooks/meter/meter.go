// Package meter rewrites a WebAssembly module so that it counts its instructions and
// stops itself when its fuel is used up. Nothing else bounds a guest: compiled Wasm
// cannot be preempted, and while a guest runs the garbage collector of the whole
// process waits for it.
//
// # Inserted code
//
// One mutable global of type i64, exported as [Global], holds the fuel that is left.
// Each straight piece of code (a region) subtracts its price when it is entered. At
// the entry of every function, at the head of every loop, before every bulk operation, and
// wherever more than a limit could have been spent without a check, the guest traps if the
// fuel is below zero. The caller of the guest sets the global before and reads it afterwards:
// below zero means that the fuel was used up. A start function runs on [Config.Fuel].
//
// The limit is 10,000 units, and in functions that call others at most the price of entering
// them. When the fuel is used up no function is entered any more, so the callers on the
// stack spend no more on the way back than they paid for their entries: a call
// never runs more than twice its fuel and 10,000 units.
//
// Another global, exported as [Stack], holds how much is left of the native stack, [MaxStack]:
// a caller subtracts its frame for the time of a call, and a function traps at its entry if
// there is no room for its own.
//
// The code itself cannot name the globals: a module that uses an index beyond its own
// globals is refused.
//
// # Prices
//
// Prices follow the time of the slowest path, not the common one:
//
//   - an instruction costs 1, but a memory access [MemoryAccess], a division or a
//     rounding [Slow], a vector instruction [Vector], a br_table [BranchTable], an
//     indirect call [IndirectCall]; end, else, block and nop cost as any other;
//   - entering a function costs [Call], 1 for each local, and 1 for every two
//     instructions in its body, because its frame on the native stack can be as large:
//     so fuel bounds what a trap has to unwind, and endless recursion ends;
//   - memory.copy, memory.fill and memory.init cost [Bulk] and 1 for every 64 bytes, the
//     like on tables 1 for every 8 elements; memory.grow costs [Grow] and 1024 for
//     every page, since a page that is touched for the first time has to be made;
//   - a region is paid as a whole, also if a br_if leaves it half-way.
//
// On two shared cores the slowest guest known, which follows pointers through 16 MiB so
// that every load misses the caches, took 7 to 12 ns for a unit; straight code takes
// about 1 ns. A search over recursion, indirect calls, branch tables, bulk operations and
// host calls, all with work left for the way back, found no guest that takes four times as
// long for a unit as the pointers do. The world is stopped for no longer than one call.
//
// Host functions subtract their price from the global themselves.
//
// # Refused modules
//
// Everything that is not known to be bounded by the above is refused: tail calls, exceptions,
// threads, shared and 64-bit memories, several memories, typed references, garbage
// collection, relaxed vector instructions, ref.func in code, imports of tables and globals,
// unknown sections and opcodes, functions with more than [MaxLocals] locals,
// [MaxInstructions] instructions or [MaxValues] parameters. Refusing is failing closed.
// Custom sections are dropped, except for the names of functions.
//
// A module is also refused if it is too much work for the compiler, see bounds, or if its
// tables, globals, functions and segments need more host memory than [Config.MaxPages]. The
// native stack of a call has a bound of its own, [MaxStack].
//
// # Remainders on arm64
//
// The code generator of wazero 1.12.0 for arm64 can lose the quotient of i32.rem_s,
// i32.rem_u, i64.rem_s and i64.rem_u between the division and the multiplication, when
// registers are short (its pull request 2508). There these four are computed by a division, a
// multiplication and a subtraction.
package meter

import (
	"errors"
	"fmt"
	"runtime"
)

// Global is the export name of the fuel.
const Global = "octostore_fuel"

// Prices.
const (
	MemoryAccess = 16
	Slow         = 8
	Vector       = 4
	BranchTable  = 8
	Call         = 24
	IndirectCall = 24
	Bulk         = 64
	Grow         = 512

	bytesShift    = 6  // 64 bytes a unit
	elementsShift = 3  // 8 elements a unit
	pageShift     = 10 // 1024 units a page
)

// Bounds.
const (
	MaxLocals       = 4096
	MaxValues       = 1000    // parameters, or results, of a function or a block
	MaxInstructions = 1 << 19 // of one function
	MaxTable        = 1 << 17 // elements of one table
	MaxNesting      = 1 << 15 // blocks within blocks

	maxUnchecked = 10_000
	pageLimit    = 1 << 16 // of WebAssembly itself
)

// Config has the limits of a module. The zero Config is useful.
type Config struct {
	// Fuel is the fuel of the start function.
	Fuel int64
	// MaxPages is the memory limit of an instance, in pages of 64 KiB; 0 means 65,536. It
	// includes the host memory for tables and the like, so the limit of the linear memory
	// is lower, in whole pages. A module whose initial memory exceeds the limit is refused;
	// a larger maximum is lowered to it.
	MaxPages uint32
	// RewriteRemainders computes remainders by a division and a multiplication. On arm64
	// this is always on, see the package comment.
	RewriteRemainders bool

	// open is for the test suite of the specification. It allows features that policies
	// cannot have: imports of tables and globals, ref.func, and tables that others grow.
	open bool
}

// RefusedError is the reason why a module was not rewritten.
type RefusedError struct {
	Where  string // "section 10" or "function 12, offset 7"; may be empty
	Reason string
}

func (e *RefusedError) Error() string {
	if e.Where == "" {
		return e.Reason
	}
	return e.Where + ": " + e.Reason
}

// Instrument returns the module with its meter. The error is a [*RefusedError]. The result
// is valid exactly if the module was: Instrument does not check types.
func Instrument(module []byte, cfg Config) (metered []byte, err error) {
	if cfg.MaxPages == 0 || cfg.MaxPages > pageLimit {
		cfg.MaxPages = pageLimit
	}
	w := newRewriter(cfg)
	defer func() {
		switch p := recover().(type) {
		case nil:
		case refusal:
			metered, err = nil, &RefusedError{Where: w.where.String(), Reason: string(p)}
		default:
			panic(p)
		}
	}()
	return w.rewrite(module), nil
}

func newRewriter(cfg Config) *rewriter {
	return &rewriter{
		cfg: cfg, remainders: cfg.RewriteRemainders || runtime.GOARCH == "arm64",
		account: account{}, grown: map[uint32]bool{},
	}
}

// refusal is the panic value of the rewriter; Instrument recovers it.
type refusal string

func refuse(format string, args ...any) { panic(refusal(fmt.Sprintf(format, args...))) }

// IsRefused reports whether err wraps a [*RefusedError].
func IsRefused(err error) bool {
	_, is := errors.AsType[*RefusedError](err)
	return is
}
