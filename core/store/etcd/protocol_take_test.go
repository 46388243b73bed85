package etcd

import "testing"

// Takes of the term as a model: nodes try, serve, lose the term, hand it over, and try again.
// Requests arrive late or twice or never, answers are lost, and leases of etcd end at any time
// after their process has stopped to trust them.
//
//   - A try has a lease of its own: [Cluster.attempt].
//   - What became of it is told by the lease of the key: [Cluster.putOwn], ownUnder.
//   - A lease that is given up is over for this process before it is revoked, and stays over:
//     [Cluster.revokeSoon], [Store.Close], and End and extend of package lease.
//   - A hand-over ends the trust first, and deletes the key of this term only: [Store.HandOver].
const (
	takeNodes = 3
	takeTries = 4 // of which something may still arrive, of all nodes together
	takeSends = 2 // copies of one request to take the term
)

// takes is how nodes take and leave the term. The zero value is what Cluster does.
type takes struct {
	byName         bool // the key counts as one's own if it has the name of this node
	oneLease       bool // all tries of a node are under one lease
	goesOn         bool // a lease is kept alive although the try was given up
	comesBack      bool // a late answer to a keepalive makes a lease count again
	deletesFirst   bool // a hand-over is trusted to be one when it is answered
	deletesAnyTerm bool // a hand-over deletes the key, whatever the term
}

// tryPhase is how far a try has come.
type tryPhase int8

const (
	notTried tryPhase = iota
	trying
	serving
	leaving // handing over, and still trusted: a variant
	over
)

// try is an attempt to take the term, and the term if it was taken.
type try struct {
	phase    tryPhase
	node     int8
	lease    int8 // its number
	sent     int8 // requests to take the term
	flying   int8 // of them, those that may still arrive
	deleting int8 // requests to hand it over that may still arrive
	term     int8 // under which the node serves, or has served
}

// takeLease is a lease of etcd.
type takeLease struct {
	lives bool // at etcd, which ends it at any time once it is not valid: it is revoked, or in silence
	valid bool // its process trusts it, and keeps it alive
}

type takeState struct {
	own    int8 // the lease of the key, 0: there is none
	owner  int8 // the node in the key
	term   int8 // the create revision of the key: another one each time
	tries  [takeTries]try
	leases [takeTries + 1]takeLease // by number: of the first try, the second …
}

// takeModel explores takes.
type takeModel struct {
	p takes
	explorer[takeState]
}

func (p takes) explore(traced bool) found {
	m := &takeModel{p: p}
	m.explorer.steps, m.explorer.forget = m.next, m.clear
	m.run(traced)
	return m.found()
}

// clear forgets tries of which nothing can come any more, so that there may be any number of them.
func (m *takeModel) clear(s *takeState) {
	for i := range s.tries {
		x := &s.tries[i]
		l := &s.leases[x.lease]
		if !l.lives {
			x.flying = 0
		}
		if x.phase == over && x.deleting == 0 && !(m.p.comesBack && l.lives) {
			x.term = 0
		}
		if x.phase != trying {
			x.sent = 0
		}
		if x.phase == over && x.flying == 0 && x.term == 0 && s.own != x.lease && !m.p.oneLease {
			*x, *l = try{}, takeLease{}
		}
	}
	if m.came == nil {
		s.order()
	}
}

// order makes states equal that differ in the order of tries and in the numbers of terms only.
// It needs a lease for each try.
func (s *takeState) order() {
	for i := range s.tries {
		switch x := &s.tries[i]; {
		case x.term > 0 && s.own != 0 && x.term == s.term:
			x.term = 1
		case x.term > 0:
			x.term = 2 // and never that of a key again
		}
	}
	s.term = min(s.term, 1)
	for i := range s.tries {
		for j := i; j > 0 && s.rank(j) < s.rank(j-1); j-- {
			s.swap(j)
		}
	}
}

// rank tells two tries apart that differ in anything.
func (s *takeState) rank(i int) (n int) {
	x, l := s.tries[i], s.leases[i+1]
	for _, v := range []int8{int8(x.phase), x.node, x.sent, x.flying, x.deleting, x.term} {
		n = n<<4 | int(v)
	}
	for _, is := range []bool{l.lives, l.valid, s.own == int8(i+1)} {
		n <<= 1
		if is {
			n |= 1
		}
	}
	return n
}

// swap exchanges a try with the one before it.
func (s *takeState) swap(i int) {
	s.tries[i], s.tries[i-1] = s.tries[i-1], s.tries[i]
	s.leases[i+1], s.leases[i] = s.leases[i], s.leases[i+1]
	for _, j := range []int{i, i - 1} {
		if s.tries[j].lease != 0 {
			s.tries[j].lease = int8(j + 1)
		}
	}
	switch int(s.own) {
	case i:
		s.own++
	case i + 1:
		s.own--
	}
}

// newTerm returns a create revision that nothing knows yet.
func (s *takeState) newTerm() int8 {
	for n := int8(1); ; n++ {
		known := n == s.term
		for i := range s.tries {
			known = known || n == s.tries[i].term
		}
		if !known {
			return n
		}
	}
}

// add checks what must always hold.
func (m *takeModel) add(s takeState) {
	served := false
	for i := range s.tries {
		x := &s.tries[i]
		trusts := (x.phase == serving || x.phase == leaving) && s.leases[x.lease].valid
		if trusts && (s.own == 0 || s.term != x.term) {
			m.fail("node %d trusts its term %d, and the term is %d under lease %d", x.node+1, x.term, s.term, s.own)
		}
		served = served || s.own == x.lease && (trusts || x.phase == trying || x.deleting > 0 && x.term == s.term)
	}
	if s.own != 0 && s.leases[s.own].valid && !served {
		m.fail("node %d keeps a term alive that it does not serve", s.owner+1)
	}
	m.explorer.add(s)
}

// next adds every state that can follow.
func (m *takeModel) next(s takeState) {
	for n := range int8(takeNodes) {
		m.try(s, n)
	}
	for i := range s.tries {
		m.stepsOf(s, i)
		m.deliver(s, i)
	}
	for l := 1; l < len(s.leases); l++ {
		m.stepsOfLease(s, int8(l))
	}
}

// try has an idle node try: it was told that no node has the term, which need not be so any more.
func (m *takeModel) try(s takeState, n int8) {
	free, lease := -1, int8(0) // of oneLease
	for i := range s.tries {
		x := &s.tries[i]
		switch {
		case x.phase == notTried && free < 0:
			free = i
		case x.phase == notTried || x.node != n:
		case x.phase != over:
			return
		case m.p.oneLease && s.leases[x.lease].valid:
			lease = x.lease
		}
	}
	if free < 0 {
		return
	}
	if lease == 0 {
		lease = int8(free + 1)
		s.leases[lease] = takeLease{lives: true, valid: true}
	}
	s.tries[free] = try{phase: trying, node: n, lease: lease, sent: 1, flying: 1}
	m.does("a node tries to take the term: node and lease", int(n+1), int(lease))
	m.add(s)
}

// stepsOf adds what a node may do in a try.
func (m *takeModel) stepsOf(s takeState, i int) {
	x := &s.tries[i]
	switch x.phase {
	case trying:
		if x.sent < takeSends {
			again := s
			again.tries[i].sent++
			again.tries[i].flying++
			m.does("it asks again: node and lease", int(x.node+1), int(x.lease))
			m.add(again)
		}
		if !m.p.oneLease { // that one lasts, so the node can ask until it is answered
			m.does("it gives up without an answer: node and lease", int(x.node+1), int(x.lease))
			m.giveUp(s, i)
		}
	case serving:
		x.phase, x.deleting = over, 1
		if m.p.deletesFirst {
			x.phase = leaving
		} else {
			m.end(&s, x.lease)
		}
		m.does("it hands over: node and lease", int(x.node+1), int(x.lease))
		m.add(s)
	}
}

// giveUp ends a try that has failed, or of which nothing is known.
func (m *takeModel) giveUp(s takeState, i int) {
	x := &s.tries[i]
	x.phase = over
	if !m.p.goesOn {
		m.end(&s, x.lease)
	}
	m.add(s)
}

// end ends a lease for its process.
func (m *takeModel) end(s *takeState, lease int8) {
	if m.p.oneLease {
		return // it is the node's, and the node lives
	}
	s.leases[lease].valid = false
}

// stepsOfLease adds what may happen to a lease.
func (m *takeModel) stepsOfLease(s takeState, lease int8) {
	l := s.leases[lease]
	if l.valid {
		silent := s
		silent.leases[lease].valid = false
		for i := range silent.tries {
			if x := &silent.tries[i]; x.lease == lease && x.phase != notTried {
				x.phase = over
			}
		}
		m.does("etcd is silent for too long, or the node dies: lease", int(lease))
		m.add(silent)
	}
	if l.lives && !l.valid {
		s.leases[lease].lives = false
		if s.own == lease {
			s.own, s.owner, s.term = 0, 0, 0
		}
		m.does("etcd ends lease", int(lease))
		m.add(s)
	}
}

// deliver lets requests of a try arrive at etcd.
func (m *takeModel) deliver(s takeState, i int) {
	x := s.tries[i]
	if x.deleting > 0 {
		m.deliverDelete(s, i)
	}
	if m.p.comesBack && x.phase == over && x.term > 0 && s.leases[x.lease].lives {
		back := s
		back.tries[i].phase, back.leases[x.lease].valid = serving, true
		m.does("an answer to a keepalive comes late: node and lease", int(x.node+1), int(x.lease))
		m.add(back)
	}
	if x.flying == 0 {
		return
	}
	s.tries[i].flying--
	if s.own == 0 && s.leases[x.lease].lives {
		s.own, s.owner, s.term = x.lease, x.node, s.newTerm()
	}
	m.does("its request arrives, the answer is lost: node and lease", int(x.node+1), int(x.lease))
	m.add(s)
	if x.phase != trying {
		return
	}
	m.does("its request arrives and is answered: node and lease", int(x.node+1), int(x.lease))
	if s.own == 0 || s.own != x.lease && !(m.p.byName && s.owner == x.node) {
		m.giveUp(s, i) // etcd no longer has the lease, or the key is another's
		return
	}
	s.tries[i].phase, s.tries[i].term = serving, s.term
	m.add(s)
}

// deliverDelete lets a request to hand over arrive at etcd.
func (m *takeModel) deliverDelete(s takeState, i int) {
	x := &s.tries[i]
	x.deleting--
	if s.own != 0 && (s.term == x.term || m.p.deletesAnyTerm) {
		s.own, s.owner, s.term = 0, 0, 0
	}
	m.does("the key is deleted, the answer is lost: node and lease", int(x.node+1), int(x.lease))
	m.add(s)
	if x.phase == leaving {
		x.phase = over
		m.end(&s, x.lease)
		m.does("the key is deleted, which is answered: node and lease", int(x.node+1), int(x.lease))
		m.add(s)
	}
}

func TestTakeProtocolHasOneTrustedTerm(t *testing.T) {
	checkProtocol(t, "takes", takes{}.explore(false), 10_000)
}

func TestTakeProtocolVariantsAreFoundWrong(t *testing.T) {
	const stays, trusted = "keeps a term alive that it does not serve", "trusts its term"
	checkVariants(t, []variant{
		{"the name tells whose the term is", takes{byName: true}.explore, trusted},
		{"one lease for all tries of a node", takes{oneLease: true}.explore, stays},
		{"a try is given up and its lease goes on", takes{goesOn: true}.explore, stays},
		{"a lease comes back", takes{comesBack: true}.explore, trusted},
		{"a hand-over is trusted until it is answered", takes{deletesFirst: true}.explore, trusted},
		{"a hand-over of any term", takes{deletesAnyTerm: true}.explore, trusted},
	})
}
