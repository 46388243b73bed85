package doctor

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/store/etcd"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
	"github.com/octostore/octostore/core/table"
)

func TestDoctorJudgesWhatItSeesOfEtcd(t *testing.T) {
	const mib = 1 << 20
	member := func(change func(*etcd.EndpointReport)) etcd.Examination {
		m := etcd.EndpointReport{Endpoint: "http://a:2379", Version: "3.6.0", Quota: 100 * mib, Size: 20 * mib, InUse: 10 * mib}
		change(&m)
		return etcd.Examination{Endpoints: []etcd.EndpointReport{m}}
	}
	tests := map[string]struct {
		look func(*doctor, etcd.Examination)
		seen etcd.Examination
		want string
	}{
		"well":         {(*doctor).members, member(func(*etcd.EndpointReport) {}), "ok    etcd"},
		"old":          {(*doctor).members, member(func(m *etcd.EndpointReport) { m.Old = true }), "FAIL  etcd"},
		"silent":       {(*doctor).members, member(func(m *etcd.EndpointReport) { m.Err = errors.New("x") }), "warn  etcd"},
		"room":         {(*doctor).quota, member(func(*etcd.EndpointReport) {}), "ok    quota"},
		"half":         {(*doctor).quota, member(func(m *etcd.EndpointReport) { m.InUse = 60 * mib }), "warn  quota"},
		"full":         {(*doctor).quota, member(func(m *etcd.EndpointReport) { m.InUse = 90 * mib }), "FAIL  quota"},
		"fragmented":   {(*doctor).quota, member(func(m *etcd.EndpointReport) { m.Size = 90 * mib }), "warn  quota"},
		"alarm":        {(*doctor).quota, etcd.Examination{Alarms: []string{"alarm:NOSPACE"}}, "FAIL  quota"},
		"compacted":    {(*doctor).revisions, etcd.Examination{Revision: 9_000_000, Compacted: 8_999_000}, "ok    compaction"},
		"never":        {(*doctor).revisions, etcd.Examination{Revision: 9_000_000}, "warn  compaction"},
		"same speed":   {rate, etcd.Examination{Rate: 1.001}, "ok    rate"},
		"slow":         {rate, etcd.Examination{Rate: 0.98}, "warn  rate"},
		"fast":         {rate, etcd.Examination{Rate: 1.2}, "FAIL  rate"},
		"unknown":      {rate, etcd.Examination{}, "skip  rate"},
		"serving":      {(*doctor).serving, etcd.Examination{Serving: etcd.Owner{Node: "n1"}}, "ok    serving"},
		"a namesake":   {(*doctor).name, etcd.Examination{Nodes: []etcd.Node{{Name: "n0"}, {Name: "n1", URL: "http://x"}}}, "FAIL  name"},
		"itself":       {(*doctor).name, etcd.Examination{Nodes: []etcd.Node{{Name: "n1", URL: "http://n1"}}}, ""},
		"half a table": {(*doctor).serving, etcd.Examination{Serving: etcd.Owner{Node: etcd.CopyingNode}}, "FAIL  serving"},
	}
	for name, tt := range tests {
		var out strings.Builder
		tt.look(&doctor{out: &out, cfg: config.Config{Node: "n1", AdvertiseURL: "http://n1"}}, tt.seen)
		if !strings.HasPrefix(out.String(), tt.want) {
			t.Errorf("%s: %q, want %q", name, out.String(), tt.want)
		}
	}
}

func rate(d *doctor, e etcd.Examination) { d.leaseClock(e.Rate) }

func TestDoctorLooksAtATableInEtcd(t *testing.T) {
	endpoints := etcdtest.Shared(t).Endpoints()
	cfg := config.Config{
		Store: config.Etcd, EtcdEndpoints: config.Endpoints(strings.Join(endpoints, ",")), EtcdPrefix: config.KeyPrefix("/" + t.Name() + "/"),
		EtcdLease: 2 * time.Second, Node: "n1", AdvertiseURL: "http://127.0.0.1:1", Addr: "127.0.0.1:0",
	}
	cluster, err := etcd.Open(t.Context(), etcd.Config{Endpoints: endpoints, Prefix: string(cfg.EtcdPrefix), Lease: cfg.EtcdLease, Node: "n1", URL: "http://n1"})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	store, err := cluster.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	j := journal.New(store)
	defer j.Close()
	tbl, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
	if err != nil {
		t.Fatal(err)
	}
	defer tbl.Close()
	var out, errs bytes.Buffer
	d := doctor{out: &out, errs: &errs, cfg: cfg}
	d.inEtcd(t.Context())
	if err := d.verdict(); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	for _, want := range []string{
		`node "n1", at http://n1`, "every value is sound, 0 leases", "ok    etcd", "ok    quota", "permissions  of the files that the settings name",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &out)
		}
	}
}

// The certificate of a node is for the URL that others use, and the doctor asks the listener.
func TestDoctorAsksANodeWithTLS(t *testing.T) {
	node := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"ok"}`)) }))
	var out strings.Builder
	d := doctor{out: &out, cfg: config.Config{Store: config.Etcd, Addr: config.Address(node.Listener.Addr().String()), TLSCert: "node.pem"}}
	if running := d.node(t.Context()); !running || !strings.HasPrefix(out.String(), "ok    server       a node runs here") {
		t.Errorf("running: %t, %q", running, out.String())
	}
	node.Close()
	if d.node(t.Context()) {
		t.Errorf("a node that is gone runs: %q", out.String())
	}
}
