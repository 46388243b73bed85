package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// installRedis makes this test binary the only peer that is installed, in a mode of its own.
func installRedis(t *testing.T, mode string) {
	t.Helper()
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\n%s=%q GORACE=atexit_sleep_ms=0 exec %s \"$@\"\n", asEnv, mode, self)
	if err := os.WriteFile(filepath.Join(bin, "redis-server"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
}

// fakeRedis is as much of Redis as the bench uses. It makes mistakes if it is told to.
type fakeRedis struct {
	forgets bool // releases are refused
	dies    bool // it ends after a hundred commands

	mu       sync.Mutex
	commands int
	values   map[string]string
	batons   map[string]chan struct{}
}

// serve behaves like redis-server with the arguments of the bench.
func (f *fakeRedis) serve(ctx context.Context, args []string) error {
	if slices.Contains(args, "--version") {
		fmt.Println("Redis server v=0 of a test")
		return nil
	}
	for option, want := range map[string]string{"--appendonly": "yes", "--appendfsync": "always", "--bind": "127.0.0.1"} {
		if i := slices.Index(args, option); i < 0 || args[i+1] != want {
			return fmt.Errorf("%s is not %s in %q", option, want, args)
		}
	}
	if err := os.Chdir(args[slices.Index(args, "--dir")+1]); err != nil {
		return err
	}
	f.values, f.batons = map[string]string{}, map[string]chan struct{}{}
	l, err := net.Listen("tcp", "127.0.0.1:"+args[slices.Index(args, "--port")+1])
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil
		}
		go f.answerAll(conn)
	}
}

func (f *fakeRedis) answerAll(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		args, err := readCommand(in)
		if err != nil {
			return
		}
		if _, err := io.WriteString(conn, f.answer(args)); err != nil {
			return
		}
	}
}

func readCommand(in *bufio.Reader) (args []string, err error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	for range n {
		if _, err = in.ReadString('\n'); err != nil { // its length
			return nil, err
		}
		arg, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		args = append(args, strings.TrimSuffix(arg, "\r\n"))
	}
	return args, err
}

func (f *fakeRedis) answer(args []string) string {
	if args[0] == "BLPOP" {
		<-f.baton(args[1])
		return "*2\r\n$1\r\nx\r\n$1\r\n1\r\n"
	}
	if args[0] == "DEL" {
		select {
		case <-f.baton(args[1]):
		default:
		}
		return ":1\r\n"
	}
	if args[0] == "LPUSH" {
		f.baton(args[1]) <- struct{}{}
		return ":1\r\n"
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.commands++; f.dies && f.commands > 100 {
		fmt.Fprintln(os.Stderr, "the disk is on fire")
		os.Exit(1)
	}
	switch args[0] {
	case "SCRIPT":
		return "$3\r\nsha\r\n"
	case "SET":
		if f.values[args[1]] != "" {
			return "$-1\r\n"
		}
		f.values[args[1]] = args[2]
		return "+OK\r\n"
	case "GET":
		return fmt.Sprintf("$%d\r\n%s\r\n", len(f.values[args[1]]), f.values[args[1]])
	case "EVALSHA":
		if f.values[args[3]] != args[4] || f.forgets {
			return ":0\r\n"
		}
		delete(f.values, args[3])
		return ":1\r\n"
	}
	return "-ERR unknown command\r\n"
}

// baton returns a list with room for one element.
func (f *fakeRedis) baton(key string) chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.batons[key] == nil {
		f.batons[key] = make(chan struct{}, 1)
	}
	return f.batons[key]
}
