package etcd

import (
	"context"
	"regexp"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/store/etcd/etcdtest"
)

// A user of etcd who may use the keys below the prefix, and no others.
func TestOpenLogsIn(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t, 1)
	admin, err := clientv3.New(clientv3.Config{Endpoints: e.Endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	ctx := t.Context()
	for _, do := range []func() error{
		func() error { _, err := admin.UserAdd(ctx, "root", "root"); return err },
		func() error { _, err := admin.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := admin.UserAdd(ctx, "octo", "secret"); return err },
		func() error { _, err := admin.RoleAdd(ctx, "octostore"); return err },
		func() error {
			end := clientv3.GetPrefixRangeEnd("/octostore/")
			_, err := admin.RoleGrantPermission(ctx, "octostore", "/octostore/", end, clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := admin.UserGrantRole(ctx, "octo", "octostore"); return err },
		func() error { _, err := admin.AuthEnable(ctx); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	cfg := Config{Endpoints: e.Endpoints(), Node: "a", URL: "http://a", User: "octo", Password: "secret", Lease: 5 * time.Second}
	c, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Join(ctx); err != nil {
		t.Fatal(err)
	}
	s, err := c.Take(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Load(ctx); err != nil {
		t.Error(err)
	}
	for granted := s.lease.Until(); s.lease.Until() == granted && s.Owns(); {
		time.Sleep(time.Millisecond)
	}
	if !s.Owns() {
		t.Error(s.Cause())
	}
	short, cancel := context.WithTimeout(ctx, 3*time.Second) // not for the rate of the clock
	defer cancel()
	if x, err := Examine(short, cfg); err != nil || x.Serving.Node != "a" {
		t.Errorf("%+v, %v", x, err)
	}
	if err := s.HandOver(ctx); err != nil {
		t.Error(err)
	}
	for _, bad := range []struct{ prefix, password, want string }{
		{"/octostore/", "wrong", "password|user name is empty"}, // the client of etcd may go on without a user
		{"/other/", "secret", "permission"},
	} {
		cfg.Prefix, cfg.Password = bad.prefix, bad.password
		ctx, cancel := context.WithTimeout(ctx, eventually)
		if c, err := Open(ctx, cfg); err == nil {
			t.Errorf("%s opened with password %s", bad.prefix, bad.password)
			_ = c.Close()
		} else if !regexp.MustCompile(bad.want).MatchString(err.Error()) {
			t.Error(err)
		}
		cancel()
	}
}
