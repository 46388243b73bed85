package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/sleep"
)

const (
	answerTime = 2 * time.Second // of one request; the next goes to another member
	revokeWait = 200 * time.Millisecond
)

// Revoke asks etcd again and again to end a lease, until it has or ctx ends.
func Revoke(ctx context.Context, client *clientv3.Client, id clientv3.LeaseID) error {
	for {
		err := revoke(ctx, client, id)
		if err == nil || errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return nil
		}
		if sleep.For(ctx, revokeWait) != nil {
			return fmt.Errorf("revoke lease %x: %w", int64(id), err)
		}
	}
}

func revoke(ctx context.Context, client *clientv3.Client, id clientv3.LeaseID) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	_, err := client.Revoke(clientv3.WithRequireLeader(ctx), id)
	return err
}
