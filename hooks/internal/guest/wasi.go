package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/octostore/octostore/hooks/abi"
)

// wasiModule is the module from which language runtimes import their system. It has all functions
// and no capabilities: those that a start needs work, the others fail at the call.
const wasiModule = "wasi_snapshot_preview1"

// Error numbers of WASI.
const (
	wasiSuccess = 0
	wasiBadFile = 8
	wasiInvalid = 28
)

const maxRandom = 1 << 16

var wasi = append([]HostFunction{
	{"args_get", "i32 i32", "i32", ok},
	{"args_sizes_get", "i32 i32", "i32", func(g *caller, s []uint64) { g.put(s[0], 0); g.put(s[1], 0); ok(g, s) }},
	{"environ_get", "i32 i32", "i32", (*caller).environ},
	{"environ_sizes_get", "i32 i32", "i32", func(g *caller, s []uint64) {
		g.put(s[0], 1)
		g.put(s[1], uint32(len(g.environment())))
		ok(g, s)
	}},
	{"clock_time_get", "i32 i64 i32", "i32", func(g *caller, s []uint64) { g.put64(s[2], g.clock()); ok(g, s) }},
	{"clock_res_get", "i32 i32", "i32", func(g *caller, s []uint64) { g.put64(s[1], uint64(time.Millisecond)); ok(g, s) }},
	{"random_get", "i32 i32", "i32", (*caller).randomGet},
	{"fd_write", "i32 i32 i32 i32", "i32", (*caller).write},
	{"poll_oneoff", "i32 i32 i32 i32", "i32", (*caller).poll},
	{"sched_yield", "", "i32", func(_ *caller, s []uint64) { s[0] = wasiSuccess }},
	{"proc_exit", "i32", "", func(_ *caller, s []uint64) { panic(fmt.Errorf("it exits with %d", uint32(s[0]))) }},
	{"fd_close", "i32", "i32", badFile},
	{"fd_fdstat_get", "i32 i32", "i32", badFile},
	{"fd_fdstat_set_flags", "i32 i32", "i32", badFile},
	{"fd_prestat_get", "i32 i32", "i32", badFile},
	{"fd_prestat_dir_name", "i32 i32 i32", "i32", badFile},
	{"fd_seek", "i32 i64 i32 i32", "i32", badFile},
}, wasiRest...)

func ok(_ *caller, s []uint64)      { s[0] = wasiSuccess }
func badFile(_ *caller, s []uint64) { s[0] = wasiBadFile }

func (g *caller) put(at uint64, v uint32) {
	binary.LittleEndian.PutUint32(g.bytes(at, 4), v)
}

func (g *caller) put64(at, v uint64) {
	binary.LittleEndian.PutUint64(g.bytes(at, 8), v)
}

// environment makes Go guests collect garbage before their memory is used up.
func (g *caller) environment() string {
	return "GOMEMLIMIT=" + strconv.FormatInt(int64(g.program.MemoryMiB)<<20*7/10, 10) + "\x00"
}

func (g *caller) environ(s []uint64) {
	g.put(s[0], uint32(s[1]))
	env := g.environment()
	copy(g.bytes(s[1], uint64(len(env))), env)
	ok(g, s)
}

// clock is the time of the decision plus the sleeps of the guest.
func (g *caller) clock() uint64 { return uint64(g.request.now().Add(g.slept).UnixNano()) }

func (g *caller) randomGet(s []uint64) {
	if uint32(s[1]) > maxRandom {
		s[0] = wasiInvalid
		return
	}
	into := g.bytes(s[0], s[1])
	g.pay(int64(len(into)))
	if g.random == nil {
		g.paySeed()
		g.random = g.request.random()
	}
	_, _ = g.random.Read(into) // it never fails
	ok(g, s)
}

// paySeed takes the price of the seed of random numbers.
func (g *caller) paySeed() {
	if e := g.request.event; e != nil {
		g.pay(int64(len(e.line)))
	}
}

// write writes stdout and stderr to the log, line by line.
func (g *caller) write(s []uint64) {
	if fd := uint32(s[0]); fd != 1 && fd != 2 {
		badFile(g, s)
		return
	}
	var n uint32
	vectors := g.bytes(s[1], uint64(uint32(s[2]))*8)
	g.pay(int64(len(vectors)))
	for ; len(vectors) > 0; vectors = vectors[8:] {
		at, size := binary.LittleEndian.Uint32(vectors), binary.LittleEndian.Uint32(vectors[4:])
		piece := g.bytes(uint64(at), uint64(size))
		g.pay(int64(len(piece)))
		n += size
		if uint32(s[0]) == 2 {
			g.keepStderr(piece)
		}
		if space := abi.MaxLogLine*abi.MaxLogLines - len(g.output); len(piece) > space {
			piece = piece[:max(space, 0)]
		}
		g.output = append(g.output, piece...)
	}
	if g.lines >= abi.MaxLogLines { // the rest is dropped
		g.output = g.output[bytes.LastIndexByte(g.output, '\n')+1:]
	}
	for {
		line, rest, ended := bytes.Cut(g.output, []byte{'\n'})
		if !ended && len(g.output) < abi.MaxLogLine {
			break
		}
		g.output = rest
		g.say(abi.LevelInfo, line)
	}
	g.put(s[3], n)
	ok(g, s)
}

const (
	subscriptionSize = 48
	eventSize        = 32
	maxSubscriptions = 64
)

// poll is how guests sleep: the clock jumps to the first requested instant. There are no other events.
func (g *caller) poll(s []uint64) {
	n := uint32(s[2])
	if n == 0 || n > maxSubscriptions {
		s[0] = wasiInvalid
		return
	}
	subscriptions := g.bytes(s[0], uint64(n)*subscriptionSize)
	g.pay(int64(len(subscriptions)))
	first, found := 0, false
	var least time.Duration
	for i := range int(n) {
		sub := subscriptions[i*subscriptionSize:]
		if sub[8] != 0 { // not a clock
			continue
		}
		timeout := time.Duration(min(binary.LittleEndian.Uint64(sub[24:]), uint64(time.Hour)))
		if absolute := sub[40]&1 != 0; absolute {
			timeout = time.Duration(max(0, int64(binary.LittleEndian.Uint64(sub[24:]))-int64(g.clock())))
		}
		if !found || timeout < least {
			first, least, found = i, timeout, true
		}
	}
	if !found {
		panic(errors.New("it waits for something that cannot happen"))
	}
	g.slept += min(least, time.Hour)
	userdata := binary.LittleEndian.Uint64(subscriptions[first*subscriptionSize:])
	event := g.bytes(s[1], eventSize)
	clear(event)
	binary.LittleEndian.PutUint64(event, userdata)
	g.put(s[3], 1)
	ok(g, s)
}
