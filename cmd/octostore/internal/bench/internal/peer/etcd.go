package peer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"
)

func etcdKind() *kind {
	return &kind{
		name: Etcd, program: "etcd", queue: true, signal: syscall.SIGTERM,
		operations: []Operation{
			{"acquire", "the transaction of concurrency.Mutex over gRPC: create the key with the lease of the session, read the owner"},
			{"release", "DeleteRange of the key"},
			{"hand-over", "concurrency.Mutex: DeleteRange by the holder; a waiter watches the key before its own, then reads twice"},
			{"read", "Range of the owner, linearizable"},
		},
		command: func(c config) ([][]string, []string) {
			clients, members := "http://127.0.0.1:"+strconv.Itoa(c.port), "http://127.0.0.1:"+strconv.Itoa(c.other)
			return nil, []string{
				c.program, "--name", "bench", "--data-dir", c.dir, "--log-level", "warn",
				"--listen-client-urls", clients, "--advertise-client-urls", clients, "--listen-peer-urls", members,
				"--initial-advertise-peer-urls", members, "--initial-cluster", "bench=" + members,
			}
		},
		dial: dialEtcd,
	}
}

// Methods of etcd.
const (
	etcdTxn    = "/etcdserverpb.KV/Txn"
	etcdRange  = "/etcdserverpb.KV/Range"
	etcdDelete = "/etcdserverpb.KV/DeleteRange"
	etcdWatch  = "/etcdserverpb.Watch/Watch"
	etcdGrant  = "/etcdserverpb.Lease/LeaseGrant"
)

// etcdClient makes the calls that etcd's own client makes for concurrency.Mutex, and has a
// session, too: one lease for all its locks.
type etcdClient struct {
	*grpcConn
	lease int64
}

func dialEtcd(ctx context.Context, addr string, patience time.Duration) (Client, error) {
	conn, err := dialGRPC(ctx, addr, patience)
	if err != nil {
		return nil, err
	}
	c := &etcdClient{grpcConn: conn}
	if err := c.grant(patience + time.Minute); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// grant begins the session.
func (c *etcdClient) grant(ttl time.Duration) error {
	answer, err := c.call(etcdGrant, number(nil, leaseGrantTTL, int64(ttl.Seconds())))
	if err != nil {
		return err
	}
	if c.lease = firstNumber(answer, leaseGrantID); c.lease == 0 {
		return errors.New("a lease without id")
	}
	return nil
}

func (c *etcdClient) key(lock string) string { return fmt.Sprintf("%s/%x", lock, c.lease) }

func (c *etcdClient) Acquire(lock string) error {
	mine, owner, err := c.try(lock)
	if err != nil || owner == mine {
		return err
	}
	if err := c.Pass(lock); err != nil { // out of the line again, as Mutex.TryLock
		return err
	}
	return refused("another client has the lock")
}

// try puts the client's key in line, and returns the revisions that created its key and the
// key of the owner.
func (c *etcdClient) try(lock string) (mine, owner int64, err error) {
	answer, err := c.call(etcdTxn, tryTransaction(lock+"/", c.key(lock), c.lease))
	if err != nil {
		return 0, 0, err
	}
	return parseTry(answer)
}

func (c *etcdClient) Release(lock string) error { return c.Pass(lock) }

func (c *etcdClient) Read(lock string) error {
	answer, err := c.call(etcdRange, ownerRange(lock+"/"))
	if err == nil && len(all(answer, rangeKVs)) == 0 {
		return refused("nobody has the lock")
	}
	return err
}

func (c *etcdClient) Open(string) error { return nil }

func (c *etcdClient) Wait(lock string) error {
	mine, owner, err := c.try(lock)
	if err != nil || owner == mine {
		return err
	}
	for {
		answer, err := c.call(etcdRange, lastBefore(lock+"/", mine-1))
		if err != nil {
			return err
		}
		before := all(answer, rangeKVs)
		if len(before) == 0 {
			break
		}
		if err := c.awaitDelete(string(first(before[0], kvKey)), firstNumber(first(answer, answerHeader), headerRevision)); err != nil {
			return err
		}
	}
	// As etcd's client: is the session still alive?
	answer, err := c.call(etcdRange, text(nil, rangeKey, c.key(lock)))
	if err == nil && len(all(answer, rangeKVs)) == 0 {
		return errors.New("the session has ended")
	}
	return err
}

// awaitDelete returns when the key is deleted at or after the revision.
func (c *etcdClient) awaitDelete(key string, revision int64) error {
	if err := c.open(etcdWatch, watchKey(key, revision), false); err != nil {
		return err
	}
	for {
		answer, err := c.next()
		if err != nil {
			return fmt.Errorf("%s: %w", etcdWatch, err)
		}
		for _, event := range all(answer, watchEvents) {
			if firstNumber(event, eventType) == eventDelete {
				return c.cancel()
			}
		}
	}
}

func (c *etcdClient) Pass(lock string) error {
	answer, err := c.call(etcdDelete, text(nil, deleteKey, c.key(lock)))
	if err == nil && firstNumber(answer, deleteDeleted) != 1 {
		return refused("the key was gone")
	}
	return err
}
