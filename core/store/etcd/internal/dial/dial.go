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
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/status"

	"github.com/octostore/octostore/core/sleep"
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

const (
	connectTime  = 5 * time.Second // for a member to answer at the start
	connectPause = 250 * time.Millisecond
)

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
	if errors.Is(err, context.DeadlineExceeded) && cfg.User != "" {
		err = cmp.Or(whyNoLogin(cfg), err)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to etcd at %s: %w", strings.Join(cfg.Endpoints, ", "), plain(err))
	}
	return c, nil
}

// whyNoLogin returns why no member could be reached, if that is so. The client's own login only says
// that time is up.
func whyNoLogin(cfg Config) error {
	cfg.User, cfg.Password = "", ""
	c, err := Client(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	return check(Members(context.Background(), c), cfg.Logger)
}

// Open connects, and checks each member: at least one has to answer within a few seconds, and
// none that answers may be older than 3.6.
func Open(ctx context.Context, cfg Config) (*clientv3.Client, error) {
	c, err := Client(cfg)
	if err != nil {
		return nil, err
	}
	if err := check(awaitMember(ctx, c), cfg.Logger); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// awaitMember asks all members until one answers, for a few seconds: etcd may be starting, too.
func awaitMember(ctx context.Context, c *clientv3.Client) []Member {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	for {
		all := Members(ctx, c)
		answers := slices.ContainsFunc(all, func(m Member) bool { return m.Err == nil })
		if answers || sleep.For(ctx, connectPause) != nil {
			return all
		}
	}
}

// Member is what a member of etcd says of itself.
type Member struct {
	Endpoint string
	Err      error // it did not answer; then there is no status
	Status   *etcdserverpb.StatusResponse
	Took     time.Duration
}

// Members asks all members at the same time, in the order of the endpoints.
func Members(ctx context.Context, c *clientv3.Client) []Member {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	found := make([]Member, len(c.Endpoints()))
	var all sync.WaitGroup
	for i, endpoint := range c.Endpoints() {
		all.Go(func() {
			began := time.Now()
			s, err := statusOf(ctx, c, endpoint)
			found[i] = Member{Endpoint: endpoint, Err: plain(err), Status: s, Took: time.Since(began)}
		})
	}
	all.Wait()
	return found
}

// statusOf asks one member. The client's own call would wait where no member listens, and not
// say that.
func statusOf(ctx context.Context, c *clientv3.Client, endpoint string) (*etcdserverpb.StatusResponse, error) {
	conn, err := c.Dial(endpoint)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return etcdserverpb.NewMaintenanceClient(conn).Status(ctx, &etcdserverpb.StatusRequest{})
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
		return fmt.Errorf("%w: asked for its status for %s: %w", ErrUnreachable, connectTime, oneLine(silent))
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

// plain returns the text of a gRPC error without what gRPC puts in front of it.
func plain(err error) error {
	s, ok := status.FromError(err)
	if !ok || err == nil {
		return err
	}
	text := strings.TrimPrefix(s.Message(), "connection error: desc = ")
	if inner, err := strconv.Unquote(text); err == nil {
		text = inner
	}
	return errors.New(strings.TrimPrefix(text, "transport: Error while dialing: "))
}
