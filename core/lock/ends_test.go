package lock

import (
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// The ends of leases come in the order of their instants, those of one instant as they were
// planned, whatever was moved and called off.
func TestEndsComeInOrder(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		s := &schedule{start: time.Unix(0, 0)}
		all := make([]*entry, 1+rng.IntN(2000))
		for i := range all {
			all[i] = new(entry)
		}
		last := map[*entry]leaseEnd{}
		for range 3 * len(all) {
			e := all[rng.IntN(len(all))]
			if rng.IntN(4) == 0 {
				s.cancelEnd(e)
				delete(last, e)
				continue
			}
			at := time.Duration(rng.IntN(50)) * time.Second
			s.setEnd(e, s.start.Add(at))
			last[e] = leaseEnd{at: at, order: s.sets, entry: e}
		}
		want := make([]leaseEnd, 0, len(last))
		for _, end := range last {
			want = append(want, end)
		}
		slices.SortFunc(want, func(a, b leaseEnd) int {
			if a.before(&b) {
				return -1
			}
			return 1
		})
		if s.len() != len(want) {
			t.Fatalf("seed %d: %d ends are planned, want %d", seed, s.len(), len(want))
		}
		for i, end := range want {
			if got := *s.ends.at(0); got != end {
				t.Fatalf("seed %d: end %d is at %v (%d), want %v (%d)", seed, i, got.at, got.order, end.at, end.order)
			}
			s.cancelEnd(end.entry)
		}
		if len(s.ends.chunks) > 2 {
			t.Errorf("seed %d: %d pieces stay", seed, len(s.ends.chunks))
		}
	}
}

// What is kept of a lock without waiters has to be small, as there may be a million.
func TestHeldLocksAreSmall(t *testing.T) {
	for what, size := range map[string][2]uintptr{
		"entry": {unsafe.Sizeof(entry{}), 64}, "held": {unsafe.Sizeof(held{}), 112}, "end": {unsafe.Sizeof(leaseEnd{}), 24},
	} {
		if size[0] > size[1] {
			t.Errorf("%s has %d bytes, at most %d before", what, size[0], size[1])
		}
	}
}

// A lease keeps no part of the request it came with, and what leases have in common is kept
// once.
func TestHeldTextsAreSharedAndOwn(t *testing.T) {
	m := NewMachine(Rules{}, Snapshot{}, time.Unix(1000, 0))
	for m.texts.seed = maphash.MakeSeed(); !apart(m.texts.seed, "ci", "runner-1", "deploy", "team", "payments"); {
		m.texts.seed = maphash.MakeSeed() // one text would take the place of another
	}
	line := strings.Repeat("x", 1000) + "ci runner-1 deploy team payments"
	grantTo := func(name Name, line string) *held {
		line = strings.Clone(line)
		m.decide(time.Unix(1000, 0), nil, []*Command{{Verb: DoAcquire, Name: name, At: time.Unix(1000, 0), Acquire: &Acquisition{
			Origin: Origin{Actor: Actor{Account: line[1000:1002]}}, Name: name, TTL: time.Minute,
			Holder: line[1003:1011], Reason: line[1012:1018], Metadata: map[string]string{line[1019:1023]: line[1024:]},
		}}})
		m.Accept()
		m.Finish()
		h := m.entries[name].held
		for _, text := range textsOf(h) {
			if at := uintptr(unsafe.Pointer(unsafe.StringData(text))); at-uintptr(unsafe.Pointer(unsafe.StringData(line))) < uintptr(len(line)) {
				t.Errorf("%q is a part of the request", text)
			}
		}
		return h
	}
	a, b := textsOf(grantTo("a", line)), textsOf(grantTo("b", line))
	if len(a) != 5 || !slices.Equal(a, []string{"ci", "runner-1", "deploy", "team", "payments"}) {
		t.Fatalf("kept %q", a)
	}
	for i := range a {
		if a[i] != b[i] || unsafe.StringData(a[i]) != unsafe.StringData(b[i]) {
			t.Errorf("%q is kept twice", a[i])
		}
	}
}

// apart reports whether each text has a place of its own among the known ones.
func apart(seed maphash.Seed, all ...string) bool {
	places := map[uint64]bool{}
	for _, text := range all {
		places[maphash.String(seed, text)%uint64(len(texts{}.known))] = true
	}
	return len(places) == len(all)
}

func textsOf(h *held) []string {
	texts := []string{h.account, h.holder, h.more.reason}
	for k, v := range h.more.metadata {
		texts = append(texts, k, v)
	}
	return texts
}

// Of 100,000 leases that end in one second, each batch has some: a request that comes
// meanwhile is decided in the next one, which is not larger than others.
func TestEndsLeaveRoomForRequests(t *testing.T) {
	const leases = 100_000
	now := time.Unix(1_000_000, 0)
	snap := Snapshot{Leases: make([]Loaded, leases)}
	for i := range snap.Leases {
		snap.Leases[i] = Loaded{
			Lease:     Lease{Name: Name("n" + strconv.Itoa(i)), Token: Token(i + 1), Account: "ci", TTL: time.Minute, GrantedAt: now},
			Remaining: time.Second + time.Duration(i%1000)*time.Millisecond,
		}
	}
	m := NewMachine(Rules{}, snap, now)
	m.Finish()
	now = now.Add(2 * time.Second)
	batches := 0
	for held, _ := m.Counts(); held > batches; held, _ = m.Counts() {
		batches++
		name := Name("new" + strconv.Itoa(batches))
		_, taken := m.decide(now, nil, []*Command{{
			Verb: DoAcquire, Name: name, At: now, Acquire: &Acquisition{Name: name, TTL: time.Hour},
		}})
		if taken != 1 || len(m.Events()) > defaultBatchEvents/2+1 {
			t.Fatalf("batch %d takes %d requests and has %d events", batches, taken, len(m.Events()))
		}
		m.Accept()
		m.Finish()
	}
	if most := leases/(defaultBatchEvents/2) + 1; batches > most {
		t.Errorf("the ends took %d batches, want at most %d", batches, most)
	}
}
