package transport

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// recordedFile has the requests of all tests of the package, one a line. Running them all with
// -update writes it.
const recordedFile = "testdata/requests/recorded.txt"

// recordedRequests are the requests of this run, by what is particular to them.
var recordedRequests struct {
	sync.Mutex
	all map[string]string
}

var (
	anySecret = regexp.MustCompile(`octo_[A-Za-z0-9_-]{30,}`)
	anyLease  = regexp.MustCompile(`(?i)(lease: |lease_id=|lease_id": ?")[A-Za-z0-9_-]{32}\b`)
	anyNumber = regexp.MustCompile(`\d+`)
)

// keepForTwins keeps a request for the corpus, if it is to be written.
func keepForTwins(request string) {
	if !*update || len(request) > 2000 || !strings.Contains(request, " /") ||
		strings.Contains(request, "/v1/drain") || strings.Contains(request, "/v1/logout") || strings.Contains(request, "POST /v1/tokens") {
		return
	}
	request = anySecret.ReplaceAllString(request, "{token}")
	request = anyLease.ReplaceAllString(request, "$1{lease}")
	recordedRequests.Lock()
	defer recordedRequests.Unlock()
	if recordedRequests.all == nil {
		recordedRequests.all = map[string]string{}
	}
	recordedRequests.all[kindOf(request)] = request
}

// kindOf returns what is particular to a request: all of it for locks, as the lane is for them, and
// for others their path and their headers.
func kindOf(request string) string {
	line, rest, _ := strings.Cut(request, "\r\n")
	if !strings.Contains(line, lockPrefix) {
		line, _, _ = strings.Cut(line, "?")
	}
	return anyNumber.ReplaceAllString(line+"\r\n"+rest, "0")
}

// wire returns the request as a client would send it.
func (r request) wire() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s HTTP/1.1\r\n", r.line)
	if r.header.Get("Host") == "" {
		b.WriteString(host)
	}
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		for _, value := range r.header[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	if r.body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	return b.String() + "\r\n" + r.body
}

// recording are all tests, behind which the corpus is written.
type recording struct{ m *testing.M }

func (r recording) Run() int {
	status := r.m.Run()
	if len(recordedRequests.all) < 300 { // not all tests ran
		return status
	}
	var b strings.Builder
	for _, request := range slices.Sorted(maps.Values(recordedRequests.all)) {
		fmt.Fprintln(&b, strconv.Quote(request))
	}
	if err := os.WriteFile(recordedFile, []byte(b.String()), 0o644); err != nil {
		panic(err)
	}
	return status
}

// recordedScripts are the requests of all tests.
func recordedScripts(t testing.TB) map[string]script {
	t.Helper()
	f, err := os.Open(recordedFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scripts := map[string]script{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		request, err := strconv.Unquote(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		scripts[fmt.Sprintf("recorded %04d", len(scripts))] = script{request}
	}
	return scripts
}
