// Package demo shows OctoStore in a few seconds, on a real server with a real database:
// hand-over, timeout of a wait, crash of a holder, crash of the server, a policy, and the
// audit log.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/child"
)

// Config configures the demonstration.
type Config struct {
	Serve []string  // the command that starts a server
	Out   io.Writer // gets the story
	Color bool      // use colours
	Once  bool      // end after the story instead of keeping the server running
}

// stage is the server of the demonstration and the results so far.
type stage struct {
	story
	cfg    Config
	dir    string
	server *child.Process
	client *client

	leaseOfB string // used from the first scene to the last
}

// ErrInterrupted is the error of [Run] if its context ends before the last scene.
var ErrInterrupted = errors.New("the story was interrupted")

// Run plays the scenes and, unless cfg.Once, keeps the server running until ctx ends. It
// returns an error if an answer differs from the expected one. In any case it stops the
// server and removes its database.
func Run(ctx context.Context, cfg Config) error {
	told, err := run(ctx, cfg)
	if !told && ctx.Err() != nil {
		return ErrInterrupted // later failures follow from that
	}
	return err
}

// run reports whether it has told the whole story.
func run(ctx context.Context, cfg Config) (told bool, err error) {
	dir, err := os.MkdirTemp("", "octostore-demo-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	s := &stage{story: story{out: cfg.Out, color: cfg.Color}, cfg: cfg, dir: dir}
	if err := errors.Join(s.rule(), s.startAnywhere(ctx)); err != nil {
		return false, err
	}
	defer func() { s.server.Stop() }()
	begun := time.Now()
	if err := s.play(ctx); err != nil {
		return false, err
	}
	s.say("All of this took %.1f seconds.", time.Since(begun).Seconds())
	if cfg.Once {
		return true, nil
	}
	return true, s.stay(ctx)
}

// startAnywhere starts the server at the usual address, or at a free one if that is in use.
func (s *stage) startAnywhere(ctx context.Context) error {
	if err := s.start(ctx, "127.0.0.1:3000"); err == nil || ctx.Err() != nil {
		return err
	}
	return s.start(ctx, "127.0.0.1:0")
}

// start starts a server on the demonstration's database.
func (s *stage) start(ctx context.Context, addr string) error {
	server, err := child.Start(ctx, s.cfg.Serve, append(child.Open(),
		"OCTOSTORE_ADDR="+addr,
		"OCTOSTORE_DB="+s.database(),
		"OCTOSTORE_POLICIES="+s.manifest(),
		"OCTOSTORE_POLICY_CACHE=beside",
	))
	if err != nil {
		return fmt.Errorf("the server did not start: %w", err)
	}
	s.server = server
	s.client = newClient("http://" + server.Addr)
	return nil
}

func (s *stage) database() string { return filepath.Join(s.dir, "octostore.db") }

// play runs the scenes in order.
func (s *stage) play(ctx context.Context) error {
	s.say("A server runs on http://%s with its database in %s.", s.server.Addr, s.database())
	for i, scene := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"Two jobs want the same lock", s.takeTurns},
		{"One gives up", s.giveUp},
		{"One crashes", s.crash},
		{"The server is killed", s.kill},
		{"A policy says no", s.policy},
		{"Who had it, and when", s.audit},
	} {
		s.scene(i+1, scene.title)
		if err := scene.play(ctx); err != nil {
			return fmt.Errorf("scene %d, %q: %w", i+1, scene.title, err)
		}
	}
	s.say("")
	return nil
}

// stay keeps the server running, for readers who want to try it by hand.
func (s *stage) stay(ctx context.Context) error {
	url := "http://" + s.server.Addr
	s.say("The server stays up. Try it from two other terminals, ctrl-C ends it:\n")
	s.say("  curl -X POST '%s/v1/locks/my/job/acquire?ttl=60s'", url)
	s.say("  curl -X POST '%s/v1/locks/my/job/acquire?wait=30s'   # waits for the first", url)
	s.say("  curl %s/v1/locks/my/job", url)
	s.say("  curl -X POST %s/v1/locks/my/job/release -H 'Octostore-Lease: LEASE_ID'\n", url)
	select {
	case <-ctx.Done():
		s.say("\nThe server stops; its database is removed.")
		return nil
	case <-s.server.Done():
		return errors.New("the server has stopped by itself")
	}
}
