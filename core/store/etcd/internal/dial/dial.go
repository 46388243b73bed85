// Package dial connects to etcd, and says what is wrong with an etcd that cannot be used.
package dial

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/status"
)

// ErrOld says that an etcd is older than 3.6. Its members may confirm leases that a leader
// they do not know of has ended.
var ErrOld = errors.New("etcd is older than 3.6")

// ErrUnreachable says that no member of etcd has answered.
var ErrUnreachable = errors.New("etcd does not answer")

// Config says where etcd is and how to log in.
type Config struct {
	Endpoints      []string
	TLS            *tls.Config
	User, Password string
	Logger         *slog.Logger
}

// connectTime bounds how long each member is waited for at the start.
const connectTime = 5 * time.Second

// A connection whose member is silent is given up after both of these.
const (
	pingEvery = 10 * time.Second
	pingTime  = 3 * time.Second
)

// Client returns a client without asking whether etcd answers.
func Client(cfg Config) (*clientv3.Client, error) {
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("connect to etcd: there are no endpoints")
	}
	c, err := clientv3.New(clientv3.Config{
		Endpoints:   cfg.Endpoints,
		DialTimeout: connectTime,
		// A member that is paused or cut off neither answers nor closes its connections.
		DialKeepAliveTime:    pingEvery,
		DialKeepAliveTimeout: pingTime,
		TLS:                  cfg.TLS,
		Username:             cfg.User,
		Password:             cfg.Password,
		Logger:               zap.NewNop(), // what matters is in the errors
		MaxUnaryRetries:      1,            // callers repeat what they may repeat, and count it
	})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd at %s: %w", strings.Join(cfg.Endpoints, ", "), plain(err))
	}
	return c, nil
}

// Open connects, and checks each member: at least one has to answer, and none may be older
// than 3.6.
func Open(ctx context.Context, cfg Config) (*clientv3.Client, error) {
	c, err := Client(cfg)
	if err != nil {
		return nil, err
	}
	if err := check(Members(ctx, c), cfg.Logger); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Member is what a member of etcd says of itself.
type Member struct {
	Endpoint string
	Err      error // it did not answer; then there is no status
	Status   *clientv3.StatusResponse
	Took     time.Duration
}

// Members asks all members at the same time, for a few seconds, in the order of the endpoints.
func Members(ctx context.Context, c *clientv3.Client) []Member {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	found := make([]Member, len(c.Endpoints()))
	var all sync.WaitGroup
	for i, endpoint := range c.Endpoints() {
		all.Go(func() {
			began := time.Now()
			s, err := c.Status(ctx, endpoint)
			found[i] = Member{Endpoint: endpoint, Err: plain(err), Status: s, Took: time.Since(began)}
		})
	}
	all.Wait()
	return found
}

func check(members []Member, log *slog.Logger) error {
	var silent []error
	for _, m := range members {
		switch {
		case m.Err != nil:
			silent = append(silent, fmt.Errorf("%s: %w", m.Endpoint, m.Err))
		case !Supported(m.Status.Version):
			return fmt.Errorf("%w: %s has version %s", ErrOld, m.Endpoint, m.Status.Version)
		}
	}
	if len(silent) == len(members) {
		return fmt.Errorf("%w: asked for its status within %s: %w", ErrUnreachable, connectTime, oneLine(silent))
	}
	for _, err := range silent {
		log.Warn("a member of etcd does not answer", "error", err)
	}
	return nil
}

// Supported reports whether a version such as "3.6.1" is 3.6 or newer.
func Supported(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return cmp.Or(cmp.Compare(major, 3), cmp.Compare(minor, 6)) >= 0
}

func oneLine(errs []error) error {
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	return errors.New(strings.Join(slices.Compact(texts), "; "))
}

// plain returns the text of a gRPC error without its code in front.
func plain(err error) error {
	if s, ok := status.FromError(err); ok && err != nil {
		return errors.New(s.Message())
	}
	return err
}
