package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/hooks/meter"
)

// Prices of host functions, in the units of package meter.
const (
	PriceCall    = 128
	BytesPerUnit = 8
	PriceCounted = 32   // for each lock that was counted
	PriceHeld    = 256  // for finding the locks of an account
	PricePerByte = 4    // of the document, each time, because it may have to be encoded
	PriceLine    = 1024 // of the log, written or not
	PriceOdd     = 16   // extra for each byte that is not printable ASCII, for the lookup of its character
)

// call is a call of an instance in progress.
type call struct {
	program  *Program
	request  *Request
	starting bool // at a start only config, log and deny work

	answer Answer
	noted  int // bytes
	lines  int
	spent  int64
	slept  time.Duration
	random *rand.ChaCha8 // made when first asked for
	output []byte        // of stdout and stderr: the unfinished line
	stderr []byte        // its end, for faults
}

// HostFunction is a function that guests may import.
type HostFunction struct {
	Name, Params, Results string // parameters and results as in "i32 i64"

	do func(*caller, []uint64)
}

// caller is the guest that calls a host function. An instance has one, for all calls.
type caller struct {
	*call
	memory api.Memory
	left   int64 // fuel, while a host function runs
	inside bool  // a host function runs
}

// function wraps a host function: it finds the call in progress and takes the price.
func (h HostFunction) function() api.GoModuleFunc {
	do := h.do
	return func(ctx context.Context, m api.Module, stack []uint64) {
		i := instanceOf(ctx)
		if i.now == nil {
			panic(errors.New("it calls the host although no call is in progress"))
		}
		if i.fuel == nil { // the start section runs before instantiate can ask for it
			i.know(m)
		}
		g := &i.caller
		g.call, g.left, g.inside = i.now, int64(i.fuel.Get()), true
		g.pay(PriceCall)
		do(g, stack)
		i.fuel.Set(uint64(g.left))
		g.inside = false
	}
}

// know keeps the parts of a module that host functions need.
func (i *Instance) know(m api.Module) { i.fuel, i.caller.memory = fuelOf(m), m.Memory() }

// fuelOf returns the remaining fuel of a metered module.
func fuelOf(m api.Module) api.MutableGlobal {
	return m.ExportedGlobal(meter.Global).(api.MutableGlobal)
}

// pay takes fuel for work of the host, or ends the call.
func (g *caller) pay(price int64) {
	if g.left -= price; g.left < 0 {
		panic(errors.New("out of fuel"))
	}
}

// bytes returns a part of the guest's memory, valid until the guest goes on.
func (g *caller) bytes(at, n uint64) []byte {
	b, ok := g.memory.Read(uint32(at), uint32(n))
	if !ok {
		panic(fmt.Errorf("the bytes at %d, %d of them, are outside of its memory", uint32(at), uint32(n)))
	}
	return b
}

// key reads the name of a field. A name that is too long names no field.
func (g *caller) key(at, n uint64) []byte {
	b := g.bytes(at, n)
	if len(b) > abi.MaxKey {
		return nil
	}
	g.pay(int64(len(b)) / BytesPerUnit)
	return b
}

// keyOf is a key as a string, without an allocation for the usual keys.
func keyOf(b []byte) string {
	switch string(b) { // compared where it lies, as is the key of a map
	case abi.KeyLockName:
		return abi.KeyLockName
	case abi.KeyTTL:
		return abi.KeyTTL
	case abi.KeyWait:
		return abi.KeyWait
	case abi.KeyWaited:
		return abi.KeyWaited
	case abi.KeyAccount:
		return abi.KeyAccount
	case abi.KeyAccountHeld:
		return abi.KeyAccountHeld
	case abi.KeyHook:
		return abi.KeyHook
	case abi.KeyPhase:
		return abi.KeyPhase
	case abi.KeyHolder:
		return abi.KeyHolder
	case abi.KeyReason:
		return abi.KeyReason
	case abi.KeyRemoteAddr:
		return abi.KeyRemoteAddr
	case abi.KeyLockHeld:
		return abi.KeyLockHeld
	case abi.KeyLockHolder:
		return abi.KeyLockHolder
	case abi.KeyLockAccount:
		return abi.KeyLockAccount
	case abi.KeyLockExpiresAt:
		return abi.KeyLockExpiresAt
	case abi.KeyQueueLength:
		return abi.KeyQueueLength
	case abi.KeyNow:
		return abi.KeyNow
	case abi.KeyDecisionID:
		return abi.KeyDecisionID
	case abi.KeyRequest:
		return abi.KeyRequest
	}
	return string(b)
}

// text reads a text for people, up to most bytes.
func (g *caller) text(at, n uint64, most int) string { return g.clean(g.bytes(at, n), most) }

// clean makes a text printable, and takes the price.
func (g *caller) clean(b []byte, most int) string {
	looked := b[:min(len(b), most)]
	g.pay(int64(len(looked)))
	odd := 0
	for _, c := range looked {
		if !isPlain(c) {
			odd++
		}
	}
	g.pay(int64(odd) * PriceOdd)
	if odd == 0 && len(looked) == len(b) {
		return string(b)
	}
	return Printable(b, most)
}

// Printable makes a text printable and cuts it to most bytes, at the end of a character.
func Printable(b []byte, most int) string {
	cut := len(b) > most
	if cut {
		b = b[:most]
		for i := 0; i < utf8.UTFMax-1 && len(b) > 0; i++ {
			if r, size := utf8.DecodeLastRune(b); r != utf8.RuneError || size != 1 {
				break
			}
			b = b[:len(b)-1]
		}
	}
	s := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, string(b))
	return s[:min(len(s), most)]
}

// isPlain reports whether a byte is a printable character of ASCII.
func isPlain(c byte) bool { return ' ' <= c && c <= '~' }

// offered has the functions of the module octostore_v1.
var offered = []HostFunction{
	{abi.ImportGet, "i32 i32 i32 i32", "i32", (*caller).get},
	{abi.ImportGetI64, "i32 i32", "i64", (*caller).getI64},
	{abi.ImportDeny, "i32 i32", "", func(g *caller, s []uint64) { g.answer.Reason = g.text(s[0], s[1], abi.MaxReason) }},
	{abi.ImportRetryAfterMS, "i64", "", func(g *caller, s []uint64) { g.answer.Retry = milliseconds(int64(s[0])) }},
	{abi.ImportCap, "i32 i32 i64", "", (*caller).cap},
	{abi.ImportNote, "i32 i32 i32 i32", "", (*caller).note},
	{abi.ImportLog, "i32 i32 i32", "", func(g *caller, s []uint64) { g.say(int32(s[0]), g.bytes(s[1], s[2])) }},
}

// milliseconds is a duration from any number of a guest.
func milliseconds(n int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(max(0, min(n, most))) * time.Millisecond
}

func (g *caller) get(s []uint64) {
	value, there := g.field(g.key(s[0], s[1]))
	if !there {
		s[0] = api.EncodeI32(abi.Absent)
		return
	}
	into := g.bytes(s[2], s[3])
	g.pay(int64(min(len(value), len(into))) / BytesPerUnit)
	copy(into, value)
	s[0] = uint64(uint32(len(value)))
}

func (g *caller) field(name []byte) (string, bool) {
	if g.starting {
		return g.program.config, string(name) == abi.KeyConfig
	}
	if pair, is := bytes.CutPrefix(name, metadataPrefix); is && g.request.isPlain() {
		value, there := g.request.Question.Asked.Metadata[string(pair)]
		return value, there
	}
	key := keyOf(name)
	if f, is := g.look(key); is {
		return f.text, f.there
	}
	g.payEvent(key)
	g.payHeld(key)
	value, there := g.request.text(g.program, key)
	switch {
	case key == abi.KeyRequest:
		g.pay(int64(len(value)) * PricePerByte)
	case strings.HasPrefix(key, abi.PrefixAccountHeld):
		n, _ := strconv.ParseInt(value, 10, 64) // absent: 0
		g.pay(n * PriceCounted)
	}
	return value, there
}

// payHeld takes the price of finding the locks of an account.
func (g *caller) payHeld(key string) {
	if strings.HasPrefix(key, abi.KeyAccountHeld) {
		g.pay(PriceHeld)
	}
}

var metadataPrefix = []byte(abi.PrefixMetadata)

func (g *caller) getI64(s []uint64) {
	key := keyOf(g.key(s[0], s[1]))
	n, is := int64(0), false
	if !g.starting {
		if f, looks := g.look(key); looks {
			s[0] = uint64(f.numeric())
			return
		}
		g.payEvent(key)
		g.payHeld(key)
		n, is = g.request.number(key)
	}
	if !is {
		n = abi.NoNumber
	} else if strings.HasPrefix(key, abi.PrefixAccountHeld) {
		g.pay(n * PriceCounted)
	}
	s[0] = uint64(n)
}

// payEvent takes the price of parsing an event for one of its fields.
func (g *caller) payEvent(key string) {
	if e := g.request.event; e != nil && e.parses(key) {
		g.pay(int64(len(e.line)) * PricePerByte)
	}
}

func (g *caller) cap(s []uint64) {
	key, n := keyOf(g.key(s[0], s[1])), int64(s[2])
	switch key {
	case abi.KeyTTL:
		n = max(n, abi.MinTTLCap)
	case abi.KeyWait:
		n = max(n, 0)
	case abi.CapPriority:
		g.setPriority(n)
		return
	default:
		panic(fmt.Errorf("cap: there is no cap of %q", Printable([]byte(key), 64)))
	}
	d, o := milliseconds(n), &g.answer
	switch {
	case !g.changes(): // no effect
	case key == abi.KeyTTL && (o.TTL == 0 || d < o.TTL):
		o.TTL = d
	case key == abi.KeyWait && (!o.CapsWait || d < o.Wait):
		o.Wait, o.CapsWait = d, true
	}
}

// changes reports whether caps affect the request.
func (g *caller) changes() bool {
	q := &g.request.Question
	return !g.starting && q.Hook == core.HookAcquire && q.Phase == core.PhaseRequest
}

// setPriority sets the priority of the request; of several calls the rearmost counts.
func (g *caller) setPriority(n int64) {
	if n < abi.PriorityBack || n > abi.PriorityFront {
		panic(
			fmt.Errorf(
				"cap: a priority is %d (back), %d (normal) or %d (front), not %d",
				abi.PriorityBack,
				abi.PriorityNormal,
				abi.PriorityFront,
				n,
			),
		)
	}
	p, o := lock.Priority(n), &g.answer
	if g.changes() && (!o.SetsPriority || p < o.Priority) {
		o.Priority, o.SetsPriority = p, true
	}
}

func (g *caller) note(s []uint64) {
	key, value := g.text(s[0], s[1], abi.MaxNoteBytes), g.text(s[2], s[3], abi.MaxNoteBytes)
	g.noted += int(uint32(s[1])) + int(uint32(s[3]))
	if len(g.answer.Notes) == abi.MaxNotes || g.noted > abi.MaxNoteBytes {
		panic(fmt.Errorf("note: more than %d notes or %d bytes", abi.MaxNotes, abi.MaxNoteBytes))
	}
	g.answer.Notes = append(g.answer.Notes, lock.Note{Policy: g.program.Name, Key: key, Value: value})
}

// say logs a line, up to the limit of a call.
func (g *caller) say(level int32, line []byte) {
	text := "" // of a line that is dropped
	if g.lines < abi.MaxLogLines {
		g.pay(PriceLine)
		text = g.clean(line, abi.MaxLogLine)
	}
	g.call.say(level, text)
}

func (c *call) say(level int32, text string) {
	c.lines++
	switch {
	case c.lines > abi.MaxLogLines:
		c.program.Lines.Drop(time.Now())
	case c.request.Heard != nil:
		c.request.Heard(level, text)
	default:
		c.program.Lines.log(level, text)
	}
}
