package peer

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// fakeEtcd is as much of etcd as a mutex needs, over the HTTP/2 of net/http.
type fakeEtcd struct {
	fails bool // every call but the first

	mu       sync.Mutex
	changed  *sync.Cond
	revision int64
	calls    int
	keys     map[string]int64 // the revisions that created them
}

func newFakeEtcd() *fakeEtcd {
	f := &fakeEtcd{keys: map[string]int64{}}
	f.changed = sync.NewCond(&f.mu)
	return f
}

func (f *fakeEtcd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
	w.Header().Set("Content-Type", "application/grpc")
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls++; f.fails && f.calls > 1 {
		w.Header().Set("Grpc-Status", "14")
		w.Header().Set("Grpc-Message", "no leader")
		return
	}
	var prefix [grpcPrefix]byte
	if _, err := io.ReadFull(r.Body, prefix[:]); err != nil {
		return
	}
	message := make([]byte, binary.BigEndian.Uint32(prefix[1:]))
	if _, err := io.ReadFull(r.Body, message); err != nil {
		return
	}
	if r.URL.Path == etcdWatch {
		f.watch(w, string(first(first(message, watchCreate), watchedKey)))
		return
	}
	writeMessage(w, f.answer(r.URL.Path, message))
	w.Header().Set("Grpc-Status", "0")
}

func writeMessage(w http.ResponseWriter, message []byte) {
	prefix := make([]byte, grpcPrefix)
	binary.BigEndian.PutUint32(prefix[1:], uint32(len(message)))
	w.Write(append(prefix, message...))
	http.NewResponseController(w).Flush()
}

func (f *fakeEtcd) answer(method string, message []byte) []byte {
	header := text(nil, answerHeader, number(nil, headerRevision, f.revision+1))
	switch method {
	case etcdGrant:
		return number(nil, leaseGrantID, 77+int64(f.calls))
	case etcdRange:
		return append(header, f.ranged(message)...)
	case etcdDelete:
		key := string(first(message, deleteKey))
		deleted := int64(0)
		if f.keys[key] != 0 {
			deleted = 1
		}
		delete(f.keys, key)
		f.changed.Broadcast()
		return number(nil, deleteDeleted, deleted)
	case etcdTxn:
		return append(header, f.txn(message)...)
	}
	return nil
}

func (f *fakeEtcd) txn(message []byte) []byte {
	key := string(first(first(message, txnCompare), compareKey))
	ops, answer := all(message, txnFailure), []byte(nil)
	if f.keys[key] == 0 {
		f.revision++
		f.keys[key] = f.revision
		ops, answer = all(message, txnSuccess), number(nil, txnSucceeded, 1)
	}
	for _, op := range ops {
		response := []byte{}
		if get := first(op, opRange); get != nil {
			response = text(nil, opRange, f.ranged(get))
		}
		answer = text(answer, txnResponses, response)
	}
	return answer
}

// ranged answers a range with at most one key, as the client asks for them.
func (f *fakeEtcd) ranged(message []byte) []byte {
	from, end := string(first(message, rangeKey)), string(first(message, rangeEnd))
	var found []string
	for key, created := range f.keys {
		most := firstNumber(message, rangeMaxCreated)
		if (key == from || end != "" && key > from && key < end) && (most == 0 || created <= most) {
			found = append(found, key)
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.SortFunc(found, func(a, b string) int { return int(f.keys[a] - f.keys[b]) })
	key := found[0]
	if firstNumber(message, rangeSortOrder) == sortDescend {
		key = found[len(found)-1]
	}
	return text(nil, rangeKVs, number(text(nil, kvKey, key), kvCreated, f.keys[key]))
}

// watch answers that the watch has begun, and then that the key is deleted.
func (f *fakeEtcd) watch(w http.ResponseWriter, key string) {
	writeMessage(w, number(nil, protowire.Number(3), 1))
	for f.keys[key] != 0 {
		f.changed.Wait()
	}
	writeMessage(w, text(nil, watchEvents, number(nil, eventType, eventDelete)))
}

// serveEtcd serves a fake and returns how to connect to it.
func serveEtcd(t *testing.T, f *fakeEtcd) func() Client {
	t.Helper()
	server := httptest.NewUnstartedServer(f)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return dialer(t, etcdKind(), server.Listener.Addr().String())
}

func dialer(t *testing.T, k *kind, addr string) func() Client {
	return func() Client {
		t.Helper()
		c, err := k.dial(t.Context(), addr, patience)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
}

func TestEtcdClientSpeaksGRPC(t *testing.T) {
	connect := serveEtcd(t, newFakeEtcd())
	one, other := connect(), connect()
	checkExclusion(t, one, other)
	checkHandOver(t, one, other, connect())
}

func TestEtcdClientSaysWhatTheServerSays(t *testing.T) {
	f := newFakeEtcd()
	f.fails = true
	err := serveEtcd(t, f)().Acquire("a")
	var refusal *RefusalError
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), `gRPC status "14": no leader`) {
		t.Errorf("got %v", err)
	}
}

// servePostgres answers each connection with a server that keeps locks in a map.
func servePostgres(t *testing.T, greeting string) func() Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakePostgres{rows: map[string]string{}, greeting: greeting}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { l.Close() })
	return dialer(t, postgresKind(), l.Addr().String())
}

// fakePostgres is as much of PostgreSQL as the client uses.
type fakePostgres struct {
	greeting string // what it says to a new connection

	mu    sync.Mutex
	token byte
	rows  map[string]string
}

// framed returns a message.
func framed(kind byte, body string) string {
	return string(append([]byte{kind}, binary.BigEndian.AppendUint32(nil, uint32(len(body)+4))...)) + body
}

const postgresWelcome = "R\x00\x00\x00\x08\x00\x00\x00\x00" + "Z\x00\x00\x00\x05I"

func (f *fakePostgres) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	var size [4]byte
	io.ReadFull(in, size[:])
	in.Discard(int(binary.BigEndian.Uint32(size[:])) - 4)
	io.WriteString(conn, f.greeting)
	answer := ""
	for {
		var head [5]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		io.ReadFull(in, body)
		switch head[0] {
		case 'B':
			answer += framed('2', "") + f.execute(string(body))
		case 'S':
			io.WriteString(conn, answer+framed('Z', "I"))
			answer = ""
		}
	}
}

// execute executes the statement that a message binds to its parameters.
func (f *fakePostgres) execute(bind string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	statement, rest, _ := strings.Cut(bind[1:], "\x00")
	rest = rest[4:]
	next := func() string {
		n := binary.BigEndian.Uint32([]byte(rest))
		value := rest[4 : 4+n]
		rest = rest[4+n:]
		return value
	}
	name := next()
	row := func() string { return framed('D', "\x00\x01\x00\x00\x00\x01"+f.rows[name]) }
	switch {
	case statement == "acquire" && f.rows[name] == "":
		f.token++
		f.rows[name] = string('0' + f.token)
		return row() + framed('C', "INSERT 0 1\x00")
	case statement == "read" && f.rows[name] != "":
		return row() + framed('C', "SELECT 1\x00")
	case statement == "release" && f.rows[name] == next():
		delete(f.rows, name)
		return framed('C', "DELETE 1\x00")
	}
	return framed('C', "NOTHING 0\x00")
}

func TestPostgresClientSpeaksTheProtocol(t *testing.T) {
	connect := servePostgres(t, postgresWelcome)
	checkExclusion(t, connect(), connect())
	if err := connect().Wait("a"); !errors.Is(err, errNoQueue) {
		t.Errorf("waiting for a row: %v", err)
	}
}

func TestPostgresClientSaysWhatTheServerSays(t *testing.T) {
	for greeting, says := range map[string]string{
		framed('E', "SFATAL\x00C53300\x00Mtoo many clients\x00\x00"): "FATAL 53300 too many clients",
		framed('R', "\x00\x00\x00\x03"):                              "wants a password",
		"Z\xff\xff\xff\xff":                                          "a message of",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := l.Accept()
			if err == nil {
				io.WriteString(conn, greeting)
				conn.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, conn)
				conn.Close()
			}
		}()
		_, err = dialPostgres(context.Background(), l.Addr().String(), patience)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
		l.Close()
		<-done
	}
}

func TestEtcdMessagesOfTheWrongShapeAreNoAnswer(t *testing.T) {
	for _, message := range []string{"", "\xff", "\x1a\xff", "\x1a\x00", "\x1a\x00\x1a\x00", "\x08\x80", "\x0d\x01\x02\x03\x04"} {
		if mine, owner, err := parseTry([]byte(message)); err == nil && (mine != 0 || owner != 0) {
			t.Errorf("%q: got %d and %d", message, mine, owner)
		}
	}
}
