package etcd

import (
	"context"
	"time"
)

// Examination is what is to be known of an etcd before it is relied on.
type Examination struct {
	Endpoints []EndpointReport // in the order of the configuration
	// Alarms are the alarms of any node, such as "NOSPACE".
	Alarms []string
	// Initialised says whether a cluster of OctoStore has been here.
	Initialised bool
	// Serving is the node that serves; the zero Owner: none.
	Serving Owner
	// Revision is etcd's newest, and Compacted the oldest that it can still tell.
	Revision, Compacted int64
	// Rate is how fast the lease clock of etcd ran, beside this machine's; 1 is the same speed, 0 not
	// measured.
	Rate float64
}

// EndpointReport is about one node of etcd.
type EndpointReport struct {
	Endpoint string
	Err      error // it did not answer; all that follows is zero
	Version  string
	Leader   bool
	Quota    int64
	Size     int64 // bytes of the database file
	InUse    int64 // bytes of it that are in use
	Latency  time.Duration
}

// Examine looks at an etcd. It takes nothing and changes nothing there but a lease of its own,
// which ends with it.
func Examine(context.Context, Config) (Examination, error) { return Examination{}, errNotYet }
