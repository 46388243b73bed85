package peer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// redisRelease deletes a key if it has the value of the caller, as the documentation of SET
// recommends for locks.
const redisRelease = `if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end`

func redisKind() *kind {
	return &kind{
		name: Redis, program: "redis-server", queue: true, signal: syscall.SIGTERM,
		operations: []Operation{
			{"acquire", "SET name value NX PX 60000"},
			{"release", "EVALSHA of a script that deletes the key if it has the value"},
			{"hand-over", "LPUSH by the holder, BLPOP by the waiters"},
			{"read", "GET name"},
		},
		command: func(c config) ([][]string, []string) {
			return nil, []string{
				c.program, "--port", strconv.Itoa(c.port), "--bind", "127.0.0.1", "--dir", c.dir, "--daemonize", "no",
				"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxclients", strconv.Itoa(c.connections + 100),
			}
		},
		dial: dialRedis,
	}
}

// redisClient speaks RESP.
type redisClient struct {
	*link
	in      *bufio.Reader
	out     []byte
	buf     []byte // of the answer
	script  string // its SHA-1
	name    string // of the connection
	value   string // of the lock that it holds
	counter uint64
}

func dialRedis(ctx context.Context, addr string, patience time.Duration) (Client, error) {
	l, err := dialLink(ctx, addr, patience)
	if err != nil {
		return nil, err
	}
	c := &redisClient{link: l, in: bufio.NewReader(l), name: l.LocalAddr().String() + "/"}
	if c.script, err = c.call("SCRIPT", "LOAD", redisRelease); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *redisClient) Acquire(lock string) error {
	c.counter++
	c.value = c.name + strconv.FormatUint(c.counter, 10) // nobody else's
	return c.expect("OK", "SET", lock, c.value, "NX", "PX", "60000")
}

func (c *redisClient) Release(lock string) error {
	return c.expect("1", "EVALSHA", c.script, "1", lock, c.value)
}

func (c *redisClient) Read(lock string) error {
	_, err := c.call("GET", lock)
	return err
}

// Open leaves one element in the list, whatever a former load has left there: two would be two
// locks.
func (c *redisClient) Open(lock string) error {
	if _, err := c.call("DEL", lock); err != nil {
		return err
	}
	return c.Pass(lock)
}

func (c *redisClient) Wait(lock string) error { return c.expect("1", "BLPOP", lock, "0") }

func (c *redisClient) Pass(lock string) error {
	_, err := c.call("LPUSH", lock, "1")
	return err
}

func (c *redisClient) expect(want string, args ...string) error {
	got, err := c.call(args...)
	if err == nil && got != want {
		return refused("%s: the answer is %.80q; want %q", args[0], got, want)
	}
	return err
}

// call sends a command and returns the answer, of an array its last element. An answer of nothing is
// a [*RefusalError].
func (c *redisClient) call(args ...string) (string, error) {
	c.out = append(strconv.AppendInt(append(c.out[:0], '*'), int64(len(args)), 10), "\r\n"...)
	for _, arg := range args {
		c.out = strconv.AppendInt(append(c.out, '$'), int64(len(arg)), 10)
		c.out = append(append(append(c.out, "\r\n"...), arg...), "\r\n"...)
	}
	if _, err := c.Write(c.out); err != nil {
		return "", err
	}
	return c.answer(args[0])
}

func (c *redisClient) answer(command string) (string, error) {
	read, err := c.in.ReadSlice('\n')
	if err != nil {
		return "", fmt.Errorf("%s: answer: %w", command, err)
	}
	line := strings.TrimSuffix(string(read), "\r\n")
	if line == "" {
		return "", fmt.Errorf("%s: an empty line", command)
	}
	rest := line[1:]
	switch line[0] {
	case '+', ':':
		return rest, nil
	case '-':
		return "", refused("%s: %s", command, rest)
	}
	n, err := strconv.Atoi(rest)
	switch {
	case err != nil || line[0] != '$' && line[0] != '*' || n > 1<<20:
		return "", fmt.Errorf("%s: not an answer: %.80q", command, line)
	case n < 0:
		return "", refused("%s: no value", command)
	case line[0] == '*':
		return c.last(command, n)
	}
	c.buf = slices.Grow(c.buf[:0], n+2)[:n+2]
	if _, err := io.ReadFull(c.in, c.buf); err != nil {
		return "", fmt.Errorf("%s: answer: %w", command, err)
	}
	return string(c.buf[:n]), nil
}

// last reads the elements of an array and returns the last one.
func (c *redisClient) last(command string, n int) (text string, err error) {
	for range n {
		if text, err = c.answer(command); err != nil {
			return "", err
		}
	}
	return text, nil
}
