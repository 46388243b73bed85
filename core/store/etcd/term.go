package etcd

import (
	"context"
	"time"
)

// Store is the table of one term. It is safe for use by many goroutines.
type Store struct{}

// Term returns the number of the term; a later one is greater.
func (s *Store) Term() int64 { return 0 }

// Owns reports whether no other node can have the term now. Quick.
func (s *Store) Owns() bool { return s.ValidFor() > 0 }

// ValidFor returns how long Owns stays true if etcd is not heard of again; negative: since
// when it is not.
func (s *Store) ValidFor() time.Duration { return 0 }

// Lost returns a channel that is closed when the term is over or may be.
func (s *Store) Lost() <-chan struct{} { return nil }

// Space returns the bytes in use in etcd's database, and the most it may have, as last seen;
// zeros before. It does not wait for etcd.
func (s *Store) Space(context.Context) (used, quota int64, err error) { return 0, 0, nil }

// HandOver ends the term, so that another node can take it at once. Close the table before.
func (s *Store) HandOver(context.Context) error { return errNotYet }

// Close ends the term as far as this node is concerned: it no longer keeps the lease alive, and
// revokes it.
func (s *Store) Close() error { return nil }
