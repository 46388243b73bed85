package table

// Faults returns what is wrong with the machine of a table whose loop is at rest; see
// lock.Machine.Faults. No commit may be under way; after one that failed nothing can be said.
func (t *Table) Faults() []string {
	t.inbox.mu.Lock() // the loop's next turn begins with this lock, so it comes after
	defer t.inbox.mu.Unlock()
	if t.Err() != nil {
		return nil
	}
	return t.m.Faults()
}
