package hooks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/hooks/meter"
)

// Prices of what the host does for a guest, in the units of package meter.
const (
	priceCall    = 128
	bytesPerUnit = 8
	priceCounted = 32 // for each lock that was counted
	pricePerByte = 4  // of the document, each time, for it may have to be written
)

// call is what goes on in an instance.
type call struct {
	policy   *policy
	request  *request
	starting bool // there is no request: only config, log and deny

	outcome outcome
	noted   int // bytes
	lines   int
	spent   int64
	slept   time.Duration
	random  *rand.ChaCha8 // made when first asked for
	output  []byte        // of stdout and stderr: a line that has not ended
}

// hostFunction is one function a guest may import.
type hostFunction struct {
	name, params, results string
	do                    func(*guest, []uint64)
}

// guest is the caller of a host function.
type guest struct {
	*call
	instance *instance
	memory   api.Memory
}

// function wraps a host function: it finds the call and takes its price.
func (h hostFunction) function() api.GoModuleFunc {
	return func(ctx context.Context, m api.Module, stack []uint64) {
		i := ctx.Value(instanceKey{}).(*instance)
		if i.now == nil {
			panic(errors.New("called out of turn"))
		}
		if i.fuel == nil { // the start section runs before instantiate can ask for it
			i.fuel = fuelOf(m)
		}
		g := guest{i.now, i, m.Memory()}
		g.pay(priceCall)
		h.do(&g, stack)
	}
}

// fuelOf returns the fuel that a metered module has left.
func fuelOf(m api.Module) api.MutableGlobal {
	return m.ExportedGlobal(meter.Global).(api.MutableGlobal)
}

// pay takes fuel for what the host is about to do, or ends the call.
func (g *guest) pay(price int64) {
	left := int64(g.instance.fuel.Get()) - price
	g.instance.fuel.Set(uint64(left))
	if left < 0 {
		panic(errors.New("out of fuel"))
	}
}

// bytes returns a piece of the guest's memory, to be used before the guest goes on.
func (g *guest) bytes(at, n uint64) []byte {
	b, ok := g.memory.Read(uint32(at), uint32(n))
	if !ok {
		panic(fmt.Errorf("the bytes at %d, %d of them, are outside of its memory", uint32(at), uint32(n)))
	}
	return b
}

// key reads the name of a field; one that is too long is no field's.
func (g *guest) key(at, n uint64) string {
	b := g.bytes(at, n)
	if len(b) > abi.MaxKey {
		return ""
	}
	return string(b)
}

// text reads a text for people and cuts it to most bytes.
func (g *guest) text(at, n uint64, most int) string {
	b := g.bytes(at, n)
	g.pay(int64(min(len(b), most)))
	return clean(b, most)
}

// clean makes a text printable and cuts it at the end of a character.
func clean(b []byte, most int) string {
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
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, string(b))
	return s[:min(len(s), most)]
}

// offered is everything in the module octostore_v1.
var offered = []hostFunction{
	{abi.ImportGet, "i32 i32 i32 i32", "i32", (*guest).get},
	{abi.ImportGetI64, "i32 i32", "i64", (*guest).getI64},
	{abi.ImportDeny, "i32 i32", "", func(g *guest, s []uint64) { g.outcome.reason = g.text(s[0], s[1], abi.MaxReason) }},
	{abi.ImportRetryAfterMS, "i64", "", func(g *guest, s []uint64) { g.outcome.retry = milliseconds(int64(s[0])) }},
	{abi.ImportCap, "i32 i32 i64", "", (*guest).cap},
	{abi.ImportNote, "i32 i32 i32 i32", "", (*guest).note},
	{abi.ImportLog, "i32 i32 i32", "", func(g *guest, s []uint64) { g.say(int32(s[0]), g.text(s[1], s[2], abi.MaxLogLine)) }},
}

// milliseconds is a duration from a number of a guest, which may be any.
func milliseconds(n int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(max(0, min(n, most))) * time.Millisecond
}

func (g *guest) get(s []uint64) {
	value, there := g.field(g.key(s[0], s[1]))
	if !there {
		s[0] = api.EncodeI32(abi.Absent)
		return
	}
	into := g.bytes(s[2], s[3])
	g.pay(int64(min(len(value), len(into))) / bytesPerUnit)
	copy(into, value)
	s[0] = uint64(uint32(len(value)))
}

func (g *guest) field(key string) (string, bool) {
	if g.starting {
		return string(g.policy.Config), key == abi.KeyConfig
	}
	g.payEvent(key)
	value, there := g.request.text(g.policy, key)
	switch {
	case key == abi.KeyRequest:
		g.pay(int64(len(value)) * pricePerByte)
	case strings.HasPrefix(key, abi.PrefixAccountHeld):
		g.payCount(key)
	}
	return value, there
}

func (g *guest) getI64(s []uint64) {
	key := g.key(s[0], s[1])
	n, is := int64(0), false
	if !g.starting {
		g.payEvent(key)
		n, is = g.request.number(key)
	}
	if !is {
		n = abi.NoNumber
	} else if strings.HasPrefix(key, abi.PrefixAccountHeld) {
		g.pay(n * priceCounted)
	}
	s[0] = uint64(n)
}

// payEvent takes the price of reading an event for the sake of one of its fields.
func (g *guest) payEvent(key string) {
	if e := g.request.event; e != nil && e.parses(key) {
		g.pay(int64(len(e.line)) * pricePerByte)
	}
}

func (g *guest) payCount(key string) {
	if n, is := g.request.number(key); is {
		g.pay(n * priceCounted)
	}
}

func (g *guest) cap(s []uint64) {
	key, n := g.key(s[0], s[1]), int64(s[2])
	switch key {
	case abi.KeyTTL:
		n = max(n, abi.MinTTLCap)
	case abi.KeyWait:
		n = max(n, 0)
	case abi.CapPriority:
		g.setPriority(n)
		return
	default:
		panic(fmt.Errorf("cap: there is no cap of %q", clean([]byte(key), 64)))
	}
	d, o := milliseconds(n), &g.outcome
	switch {
	case !g.changes(): // of no use
	case key == abi.KeyTTL && (o.ttl == 0 || d < o.ttl):
		o.ttl = d
	case key == abi.KeyWait && (!o.capsWait || d < o.wait):
		o.wait, o.capsWait = d, true
	}
}

// changes reports whether the request is one that caps change.
func (g *guest) changes() bool {
	q := &g.request.q
	return !g.starting && q.Hook == core.HookAcquire && q.Phase == core.PhaseRequest
}

// setPriority takes the class the request is to wait in; of several the rearmost.
func (g *guest) setPriority(n int64) {
	if n < abi.PriorityBack || n > abi.PriorityFront {
		panic(fmt.Errorf("cap: a priority is %d (back), %d (normal) or %d (front), not %d", abi.PriorityBack, abi.PriorityNormal, abi.PriorityFront, n))
	}
	p, o := lock.Priority(n), &g.outcome
	if g.changes() && (!o.sets || p < o.priority) {
		o.priority, o.sets = p, true
	}
}

func (g *guest) note(s []uint64) {
	key, value := g.text(s[0], s[1], abi.MaxNoteBytes), g.text(s[2], s[3], abi.MaxNoteBytes)
	g.noted += int(uint32(s[1])) + int(uint32(s[3]))
	if len(g.outcome.notes) == abi.MaxNotes || g.noted > abi.MaxNoteBytes {
		panic(fmt.Errorf("note: more than %d notes or %d bytes", abi.MaxNotes, abi.MaxNoteBytes))
	}
	g.outcome.notes = append(g.outcome.notes, lock.Note{Policy: g.policy.Name, Key: key, Value: value})
}

// say logs a line, unless there were too many.
func (g *guest) say(level int32, text string) {
	g.lines++
	switch {
	case g.lines > abi.MaxLogLines:
	case g.request.heard != nil:
		g.request.heard(level, text)
	default:
		g.policy.logLine(level, text)
	}
}
