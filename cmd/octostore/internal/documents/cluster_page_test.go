package documents_test

import (
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
)

// The set-up by hand of docs/cluster.md is done, on a real etcd: the files it writes are those of two
// nodes, each of which answers for both.
func TestClusterPageTellsTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("every command takes long to start with the race detector")
	}
	octotest.NeedTools(t, "sh", "curl", "sed")
	at := strings.NewReplacer(
		"http://127.0.0.1:2379", etcdtest.Start(t, 1).Endpoints()[0],
		"127.0.0.1:3001", unused(t), "127.0.0.1:3002", unused(t),
	)
	page, blocks := pageBlocks(t, octotest.Path("docs/cluster.md"))
	r := readmeRun{t: t, dir: t.TempDir(), mask: maskedCluster}
	ran := 0
	for _, b := range blocks {
		switch {
		case b.language == "sh" && strings.HasPrefix(b.text, "cat > one.env"):
			// The page makes the second port of the first, which are any here.
			first := at.Replace("127.0.0.1:3001")
			b.text = strings.ReplaceAll(at.Replace(b.text), "s/3001/3002/", "s/"+first+"/"+at.Replace("127.0.0.1:3002")+"/")
			r.script(b.text)
		case b.language == "sh" && strings.HasPrefix(b.text, "octostore serve --env-file "):
			r.serve(strings.TrimSpace(strings.TrimPrefix(b.text, "octostore serve --env-file ")))
		case b.language == "console":
			for each := range strings.SplitSeq(at.Replace(b.text), "\n$ ") {
				r.console(readmeBlock{language: b.language, text: strings.TrimSuffix(each, "\n") + "\n"})
			}
		default:
			continue // for Kubernetes, for etcd, and for servers with other settings
		}
		ran++
	}
	if ran != 4 {
		t.Errorf("%d blocks were run, want 4", ran)
	}
	for _, m := range regexp.MustCompile("`(?:octostore_[a-z_]+)`").FindAllString(page, -1) {
		if !strings.Contains(seriesOf(t), strings.Trim(m, "`")) {
			t.Errorf("the page names %s, which docs/monitoring.md does not have", m)
		}
	}
}

// serve starts a node with the settings of a file.
func (r *readmeRun) serve(file string) {
	text, err := os.ReadFile(r.dir + "/" + file)
	if err != nil {
		r.t.Fatal(err)
	}
	octotest.Start(r.t, r.dir, strings.Fields(string(text))...)
}

// unused returns an address that nobody listens on.
func unused(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func seriesOf(t *testing.T) string {
	text, err := os.ReadFile(octotest.Path("docs/monitoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var clusterDetails = regexp.MustCompile(`[A-Za-z0-9_-]{16,} [0-9]{16}`)

// maskedCluster replaces the lease id and the token of a grant.
func maskedCluster(output string) string { return clusterDetails.ReplaceAllString(output, "#") }
