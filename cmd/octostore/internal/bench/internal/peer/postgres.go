package peer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// What a lock is in PostgreSQL: a row of a table with a primary key.
const (
	postgresTable = `CREATE TABLE locks (name text PRIMARY KEY, token bigint NOT NULL, holder text NOT NULL, expires_at timestamptz NOT NULL);
CREATE SEQUENCE tokens`
	postgresAcquire = `INSERT INTO locks VALUES ($1, nextval('tokens'), $2, now() + interval '60 s') ON CONFLICT (name) DO UPDATE ` +
		`SET token = excluded.token, holder = excluded.holder, expires_at = excluded.expires_at WHERE locks.expires_at < now() RETURNING token`
	postgresRelease = `DELETE FROM locks WHERE name = $1 AND token = $2`
	postgresRead    = `SELECT token, holder, expires_at FROM locks WHERE name = $1 AND expires_at > now()`
)

func postgresKind() *kind {
	return &kind{
		name: Postgres, program: "postgres", elsewhere: "/usr/lib/postgresql/*/bin/postgres", signal: os.Interrupt, notRoot: true,
		operations: []Operation{
			{"acquire", postgresAcquire + ", prepared"},
			{"release", postgresRelease + ", prepared"},
			{"read", postgresRead + ", prepared"},
		},
		command: func(c config) ([][]string, []string) {
			data := filepath.Join(c.dir, "data")
			initdb := []string{
				besideTarget(c.program, "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale",
			}
			return [][]string{initdb}, []string{
				c.program, "-D", data, "-p", strconv.Itoa(c.port), "-h", "127.0.0.1", "-c", "unix_socket_directories=",
				"-c", "max_connections=" + strconv.Itoa(c.connections+20), "-c", "fsync=on", "-c", "synchronous_commit=on",
			}
		},
		dial:  dialPostgres,
		setUp: func(c Client) error { return c.(*postgresClient).query(postgresTable) },
	}
}

// besideTarget returns the path of the program that lies where a link to another one points.
func besideTarget(link, program string) string {
	if target, err := filepath.EvalSymlinks(link); err == nil {
		link = target
	}
	return filepath.Join(filepath.Dir(link), program)
}

// postgresClient speaks version 3 of the protocol of PostgreSQL, with prepared statements.
type postgresClient struct {
	*link
	in    *bufio.Reader
	out   []byte
	body  []byte // of the message that was read last
	name  string // of the holder
	token []byte // of the lock that it holds
	ready bool   // the statements are prepared
}

const (
	postgresVersion = 3 << 16
	postgresAnswer  = 1 << 20 // longest message
)

func dialPostgres(ctx context.Context, addr string, patience time.Duration) (Client, error) {
	l, err := dialLink(ctx, addr, patience)
	if err != nil {
		return nil, err
	}
	c := &postgresClient{link: l, in: bufio.NewReader(l), name: l.LocalAddr().String()}
	hello := binary.BigEndian.AppendUint32(make([]byte, 4), postgresVersion)
	hello = append(hello, "user\x00postgres\x00database\x00postgres\x00\x00"...)
	binary.BigEndian.PutUint32(hello, uint32(len(hello)))
	if _, err = c.Write(hello); err == nil {
		_, _, err = c.answer()
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("start: %w", err)
	}
	return c, nil
}

func (c *postgresClient) Acquire(lock string) error {
	row, _, err := c.execute("acquire", lock, c.name)
	if err != nil {
		return err
	}
	if row == nil {
		return refused("INSERT: another client has the lock")
	}
	c.token = append(c.token[:0], row...)
	return nil
}

func (c *postgresClient) Release(lock string) error {
	_, tag, err := c.execute("release", lock, string(c.token))
	if err == nil && tag != "DELETE 1" {
		return refused("the answer is %q; want DELETE 1", tag)
	}
	return err
}

func (c *postgresClient) Read(lock string) error {
	row, _, err := c.execute("read", lock)
	if err == nil && row == nil {
		return refused("SELECT: nobody has the lock")
	}
	return err
}

// errNoQueue says that a row of a table has no line of waiters.
var errNoQueue = errors.New("clients of PostgreSQL do not wait in line")

func (c *postgresClient) Open(string) error { return errNoQueue }
func (c *postgresClient) Wait(string) error { return errNoQueue }
func (c *postgresClient) Pass(string) error { return errNoQueue }

// query executes statements without parameters.
func (c *postgresClient) query(statements string) error {
	c.out = c.out[:0]
	c.message('Q', func() { c.str(statements) })
	_, _, err := c.send()
	return err
}

// execute executes a prepared statement and returns the first column of its row, and its tag.
func (c *postgresClient) execute(statement string, parameters ...string) (column []byte, tag string, err error) {
	if !c.ready {
		if err := c.prepareAll(); err != nil {
			return nil, "", err
		}
	}
	c.out = c.out[:0]
	c.message('B', func() {
		c.str("")
		c.str(statement)
		c.out = append(c.out, 0, 0, 0, byte(len(parameters))) // all are text
		for _, p := range parameters {
			c.out = binary.BigEndian.AppendUint32(c.out, uint32(len(p)))
			c.out = append(c.out, p...)
		}
		c.out = append(c.out, 0, 0) // so are the columns
	})
	c.message('E', func() {
		c.str("")
		c.out = append(c.out, 0, 0, 0, 0) // all rows
	})
	c.message('S', func() {})
	return c.send()
}

func (c *postgresClient) prepareAll() error {
	c.out = c.out[:0]
	for name, statement := range map[string]string{"acquire": postgresAcquire, "release": postgresRelease, "read": postgresRead} {
		c.message('P', func() {
			c.str(name)
			c.str(statement)
			c.out = append(c.out, 0, 0) // the server finds the types out
		})
	}
	c.message('S', func() {})
	_, _, err := c.send()
	c.ready = err == nil
	return err
}

// message appends a message with its type and length.
func (c *postgresClient) message(kind byte, body func()) {
	start := len(c.out) + 1
	c.out = append(c.out, kind, 0, 0, 0, 0)
	body()
	binary.BigEndian.PutUint32(c.out[start:], uint32(len(c.out)-start))
}

func (c *postgresClient) str(s string) { c.out = append(append(c.out, s...), 0) }

func (c *postgresClient) send() (column []byte, tag string, err error) {
	if _, err := c.Write(c.out); err != nil {
		return nil, "", err
	}
	return c.answer()
}

// answer reads messages until the server is ready for the next command.
func (c *postgresClient) answer() (column []byte, tag string, err error) {
	for {
		kind, body, readErr := c.read()
		if readErr != nil {
			// What the server said before it closed the connection says more.
			return nil, "", errors.Join(err, readErr)
		}
		switch kind {
		case 'R':
			if len(body) < 4 || binary.BigEndian.Uint32(body) != 0 {
				return nil, "", errors.New("the server wants a password")
			}
		case 'D':
			column = append(column, firstColumn(body)...)
		case 'C':
			tag = string(bytes.TrimRight(body, "\x00"))
		case 'E':
			err = refused("%s", postgresError(body))
		case 'Z':
			return column, tag, err
		}
	}
}

// read reads a message, which is valid until the next.
func (c *postgresClient) read() (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, nil, fmt.Errorf("answer: %w", err)
	}
	n := int(binary.BigEndian.Uint32(head[1:])) - 4
	if n < 0 || n > postgresAnswer {
		return 0, nil, fmt.Errorf("a message of %d bytes", n)
	}
	c.body = slices.Grow(c.body[:0], n)[:n]
	_, err = io.ReadFull(c.in, c.body)
	return head[0], c.body, err
}

// firstColumn returns the first column of a row, nil if there is none.
func firstColumn(row []byte) []byte {
	if len(row) < 6 {
		return nil
	}
	n := int32(binary.BigEndian.Uint32(row[2:]))
	if n < 0 || int(n) > len(row)-6 {
		return nil
	}
	return row[6 : 6+n]
}

// postgresError returns the severity, the code and the text of an error.
func postgresError(body []byte) string {
	var said []byte
	for field := range bytes.SplitSeq(body, []byte{0}) {
		if len(field) > 1 && (field[0] == 'S' || field[0] == 'C' || field[0] == 'M') {
			said = append(append(said, field[1:]...), ' ')
		}
	}
	return string(bytes.TrimSpace(said))
}
