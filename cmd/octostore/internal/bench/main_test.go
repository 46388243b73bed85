package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// asEnv makes the test binary a server, so that children can be real processes.
const asEnv = "OCTOSTORE_BENCH_TEST_AS"

func TestMain(m *testing.M) {
	switch os.Getenv(asEnv) {
	case "":
		goleak.VerifyTestMain(m)
		return
	case "ceiling":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := ServeCeiling(ctx, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "server":
		serveFakeUntilStopped()
	case "redis", "dying redis", "forgetful redis":
		as := os.Getenv(asEnv)
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		redis := &fakeRedis{dies: as == "dying redis", forgets: as == "forgetful redis"}
		if err := redis.serve(ctx, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "failing server":
		fmt.Fprintln(os.Stderr, "the disk is on fire")
		os.Exit(1)
	}
}

func serveFakeUntilStopped() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := httptest.NewServer(&fake{guarded: os.Getenv("OCTOSTORE_TOKENS_FILE") != "none"})
	log := json.NewEncoder(os.Stderr)
	log.Encode(map[string]string{"msg": "starting", "db": os.Getenv("OCTOSTORE_DB")})
	log.Encode(map[string]string{"msg": "listening", "addr": server.Listener.Addr().String()})
	<-ctx.Done()
	server.CloseClientConnections()
	server.Close()
}

// command returns the command line of this test binary as a server of some kind.
func command(t *testing.T, as string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The race detector else holds up every exit for a second.
	return []string{"/usr/bin/env", asEnv + "=" + as, "GORACE=atexit_sleep_ms=0", self}
}
