package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/store/etcd/internal/lease"
)

// Store is the table of one term. It is safe for use by many goroutines.
type Store struct {
	*records
	cluster *Cluster
	lease   *lease.Lease
	term    int64
	value   string // of the key of the term

	closing sync.Once
}

// Term returns the number of the term; a later one is greater.
func (s *Store) Term() int64 { return s.term }

// Owns reports whether no other node can have the term now. Quick. Once false it stays false.
func (s *Store) Owns() bool { return s.lease.Valid() }

// ValidFor returns how long Owns stays true if etcd is not heard of again. It is not positive if
// the term is over or may be.
func (s *Store) ValidFor() time.Duration { return s.lease.ValidFor() }

// Lost returns a channel that is closed when the term is over or may be.
func (s *Store) Lost() <-chan struct{} { return s.lease.Lost() }

// Cause returns why the term is over or may be, nil before Lost is closed.
func (s *Store) Cause() error { return s.lease.Cause() }

// Space returns the bytes in use in etcd's database, and the most it may have, as last seen;
// zeros before. It does not wait for etcd.
func (s *Store) Space(context.Context) (used, quota int64, err error) {
	u := s.space.now()
	return u.InUse, u.Quota, nil
}

var (
	errHandedOver = errors.New("the term was handed over")
	errClosed     = errors.New("the store is closed")
)

// HandOver ends the term, so that another node can take it at once. Close the table before. Owns
// is false as soon as HandOver begins. If ctx ends first, Close ends the term.
func (s *Store) HandOver(ctx context.Context) error {
	s.lease.End(errHandedOver)
	_, err := s.cluster.ask(ctx, clientv3.OpTxn(s.guard(), []clientv3.Op{clientv3.OpDelete(s.keys.own())}, nil))
	if err != nil {
		return fmt.Errorf("hand over the term: %w", err)
	}
	return nil
}

// Close ends the term as far as this node is concerned: it no longer keeps the lease alive, and
// revokes it. If etcd does not answer soon, that goes on until the cluster is closed.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.lease.End(errClosed)
		s.end()
		s.cluster.view.gone(s, 2*s.cluster.cfg.Lease/5)
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		if s.lease.Revoke(ctx, errClosed) != nil {
			s.cluster.revokeSoon(s.lease)
		}
	})
	return nil
}
