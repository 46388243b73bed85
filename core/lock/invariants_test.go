package lock

import "time"

// reporter is what testing.T and rapid.T have in common here.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func newCommand(do Verb, name Name, origin Origin) *Command {
	return &Command{Verb: do, Name: name, Origin: origin}
}

// decide plays the loop that feeds the machine one batch. All waiters that can be called
// are; that the machine did not ask about one shows as a grant instead of a call.
func (m *Machine) decide(at time.Time, left []Departure, commands []*Command) (gone, taken int) {
	m.Feed(at, left, commands)
	for name, more := m.Next(); more; name, more = m.Next() {
		m.Step(name != "")
	}
	return m.Taken()
}

// checkInvariants looks at a machine between two batches.
func checkInvariants(t reporter, m *Machine) {
	t.Helper()
	for _, fault := range m.Faults() {
		t.Errorf("%s", fault)
	}
}
