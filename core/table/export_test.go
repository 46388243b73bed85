package table

// Faults returns what is wrong with the machine of a table whose loop is at rest; see
// lock.Machine.Faults. While a commit is under way, and after one that failed, nothing can
// be said.
func (t *Table) Faults() []string {
	if t.Err() != nil || len(t.m.Events()) > 0 {
		return nil
	}
	return t.m.Faults()
}
