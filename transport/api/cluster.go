package api

import "time"

// Cluster is the answer of /v1/cluster: the nodes that share a lock table, as one of them sees them.
type Cluster struct {
	Node    string `json:"node"` // that answers
	Serving Term   `json:"serving"`
	Nodes   []Node `json:"nodes"` // that are alive, in order of name
	Takes   Takes  `json:"takes"`
}

// Term says which node serves the lock table.
type Term struct {
	Node  string    `json:"node"`
	URL   string    `json:"url"` // at which the other nodes reach it
	Term  int64     `json:"term"`
	Since time.Time `json:"since"` // on the clock of that node
}

// Node is a server of a cluster.
type Node struct {
	Name     string    `json:"name"`
	URL      string    `json:"url"` // at which the other nodes reach it
	Version  string    `json:"version"`
	Policies string    `json:"policies"` // digest of the policies that are loaded there; empty: none are
	Since    time.Time `json:"since"`    // when it joined, on its clock
	Serving  bool      `json:"serving"`
	// PoliciesDiffer says that others are loaded on the node that serves: if the lock table moved to
	// this one, the rules would change.
	PoliciesDiffer bool `json:"policies_differ"`
}

// Takes are how often a node took the lock table. Each time all leases begin again, so with three
// takes in the time of the longest ttl a lock can stay held for much longer than its lease says.
type Takes struct {
	Count    int   `json:"count"`
	WithinMS int64 `json:"within_ms"` // the longest ttl of all leases, at least a minute and at most an hour
}

// HandOver is the answer of /v1/cluster/hand-over: the lock table is about to move, or there is no other
// node and nothing was done.
type HandOver struct {
	From   string `json:"from"`   // node that serves
	Term   int64  `json:"term"`   // that ends
	Others int    `json:"others"` // nodes that may take over; 0: nothing was done
}
