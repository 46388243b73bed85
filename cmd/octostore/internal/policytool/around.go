package policytool

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/octostore/octostore/core/lock"
)

// around is what a request says of more than itself: the members locks, held and
// account_groups. What it does not say is free, or 0, or not known.
type around struct {
	locks  map[string]json.RawMessage
	held   map[string]int64
	groups *[]string

	views map[lock.Name]*lock.Lease
}

// read checks the members and makes the locks. Errors begin with the member.
func (a *around) read() error {
	a.views = map[lock.Name]*lock.Lease{}
	for _, name := range slices.Sorted(maps.Keys(a.locks)) {
		if _, err := lock.ParseName(name); err != nil {
			return fmt.Errorf("locks.%s: %w", name, err)
		}
		l, err := readOther(name, a.locks[name])
		if err != nil {
			return err
		}
		a.views[lock.Name(name)] = l
	}
	const most = 10_000 // where a server stops counting
	for prefix, n := range a.held {
		if err := lock.CheckPrefix(prefix); err != nil {
			return fmt.Errorf("held.%s: %w", prefix, err)
		}
		if n < 0 || n > most {
			return fmt.Errorf("held.%s: is %d; want 0 to %d", prefix, n, most)
		}
	}
	if a.groups == nil {
		return nil
	}
	for i, group := range *a.groups {
		if group == "" || strings.ContainsAny(group, "\n\r") {
			return fmt.Errorf("account_groups[%d]: is %q; want a text of one line", i, group)
		}
	}
	return nil
}

// readOther reads another lock, nil if it is free.
func readOther(name string, raw json.RawMessage) (*lock.Lease, error) {
	var held bool
	var holder, account string
	if err := (members{"held": &held, "holder": &holder, "account": &account}).read("locks."+name, raw); err != nil {
		return nil, err
	}
	if !held && (holder != "" || account != "") {
		return nil, fmt.Errorf(`locks.%s: says who holds it, but it is not held; want "held": true too`, name)
	}
	if !held {
		return nil, nil
	}
	return &lock.Lease{Name: lock.Name(name), Holder: holder, Account: account}, nil
}

// memberOf returns the groups of the account, as [lock.Actor] has them.
func (a *around) memberOf() string {
	if a.groups == nil {
		return ""
	}
	return strings.Join(*a.groups, "\n") + "\n"
}

// Get implements [core.Locks].
func (a *around) Get(name lock.Name) lock.View { return lock.View{Name: name, Lease: a.views[name]} }

// HeldUnder implements [core.Locks].
func (a *around) HeldUnder(prefix string, most int) (held, looked int) {
	n := min(int(a.held[prefix]), most)
	return n, n
}
