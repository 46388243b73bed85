package lock

import "time"

// reporter is what testing.T and rapid.T have in common here.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func newCommand(do verb, name Name, origin Origin) *command {
	return &command{Verb: do, name: name, origin: origin}
}

// decide plays the loop that feeds the machine one batch. All waiters that can be called
// are; that the machine did not ask about one shows as a grant instead of a call.
func (m *machine) decide(at time.Time, left []Departure, commands []*command) (gone, taken int) {
	m.feed(at, left, commands)
	for name, more := m.Next(); more; name, more = m.Next() {
		m.step(name != "")
	}
	return m.taken()
}

// checkInvariants looks at a machine between two batches.
func checkInvariants(t reporter, m *machine) {
	t.Helper()
	for _, fault := range m.faults() {
		t.Errorf("%s", fault)
	}
}
