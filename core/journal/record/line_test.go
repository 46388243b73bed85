package record_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 123456789, time.UTC)

func TestLineSaysWhatHappenedAndNoSecret(t *testing.T) {
	lease := &lock.Lease{
		Name: "deploy/prod", Token: 7, Account: "acme", Holder: `ci "1"`, Reason: "tab\there", TTL: time.Minute,
		Metadata: map[string]string{"ticket": "OPS-7", "a": "é\u2028"}, GrantedAt: noon, ExpiresAt: noon.Add(time.Minute),
	}
	actor := lock.Actor{Account: "acme", TokenID: "tk1", RemoteAddr: "127.0.0.1:9", UserAgent: "curl/8"}
	other := lock.Actor{Account: "ops"}
	b := &lock.Batch{Events: []lock.Event{
		{Seq: 7, Time: noon, Kind: lock.Granted, Lease: lease, Actor: actor, RequestID: "r1", Waited: 1500 * time.Microsecond,
			Notes:    []lock.Note{{Policy: "freeze", Key: "window", Value: "none"}},
			Verdicts: []lock.Verdict{{Policy: "freeze", Digest: "0123456789abcdef", At: "request", Mode: "enforce", Verdict: "allow", Fuel: 120}, {Policy: "p", Verdict: "deny", Reason: `a "reason"`}}},
		{Seq: 8, Time: noon.Add(time.Second), Kind: lock.Renewed, Lease: lease, Actor: actor},
		{Seq: 9, Time: noon.Add(2 * time.Second), Kind: lock.Broken, Lease: lease, Actor: other, Cause: "stuck"},
		{Seq: 12, Time: noon.Add(3 * time.Second), Kind: lock.Stopped},
	}}
	record.Seal(b, nil)
	lines := strings.Split(strings.TrimSuffix(string(b.Segment.Bytes), "\n"), "\n")
	for i, want := range []string{
		`{"seq":7,"time":"2026-03-04T12:00:00.123456Z","kind":"granted","name":"deploy/prod","token":7,"account":"acme","holder":"ci \"1\"","reason":"tab\u0009here","metadata":{"a":"é` + "\u2028" + `","ticket":"OPS-7"},"ttl_ms":60000,"waited_ms":1,"token_id":"tk1","remote_addr":"127.0.0.1:9","user_agent":"curl/8","request_id":"r1","notes":[{"policy":"freeze","key":"window","value":"none"}],"verdicts":[{"policy":"freeze","digest":"0123456789abcdef","at":"request","mode":"enforce","verdict":"allow","fuel":120},{"policy":"p","verdict":"deny","reason":"a \"reason\"","fuel":0}],"prev":""}`,
		`{"seq":8,"time":"2026-03-04T12:00:01.123456Z","kind":"renewed","name":"deploy/prod","token":7,"account":"acme","holder":"ci \"1\"","reason":"tab\u0009here","metadata":{"a":"é` + "\u2028" + `","ticket":"OPS-7"},"ttl_ms":60000,"expires_at":"2026-03-04T12:01:00.123456Z","token_id":"tk1","remote_addr":"127.0.0.1:9","user_agent":"curl/8","prev":"` + hash(lines[0]) + `"}`,
		`{"seq":9,"time":"2026-03-04T12:00:02.123456Z","kind":"broken","name":"deploy/prod","token":7,"account":"acme","holder":"ci \"1\"","reason":"tab\u0009here","metadata":{"a":"é` + "\u2028" + `","ticket":"OPS-7"},"held_ms":2000,"by":"ops","cause":"stuck","prev":"` + hash(lines[1]) + `"}`,
		`{"seq":12,"time":"2026-03-04T12:00:03.123456Z","kind":"stopped","prev":"` + hash(lines[2]) + `"}`,
	} {
		if lines[i] != want {
			t.Errorf("line %d\n got %s\nwant %s", i, lines[i], want)
		}
	}
	head, err := record.HeadOf(b.Segment)
	if err != nil || head != b.Next || head.Seq != 12 || head.Hash != sha256.Sum256([]byte(lines[3])) {
		t.Errorf("head %+v, %v; want %+v", head, err, b.Next)
	}
}

// A record says which policies judged, and another record which these are.
func TestRecordsSayWhichPoliciesJudged(t *testing.T) {
	lease := &lock.Lease{Name: "a", Token: 2, Account: "acme", TTL: time.Minute}
	old := &lock.PolicySet{ID: "0123456789abcdef", Policies: []lock.LoadedPolicy{}}
	set := &lock.PolicySet{ID: "fedcba9876543210", Policies: []lock.LoadedPolicy{
		{Name: "freeze", Digest: "00ff", Mode: "enforce", Hooks: []string{"acquire", "break"}, Match: []string{"prod/**", "!prod/x"}},
		{Name: "many", Digest: "01ff", Mode: "shadow", Hooks: []string{"renew"}},
	}}
	b := &lock.Batch{Events: []lock.Event{
		{Seq: 1, Time: noon, Kind: lock.PoliciesLoaded, Cause: "new freeze", Loaded: set, Replaced: old},
		{Seq: 2, Time: noon, Kind: lock.Granted, Lease: lease, Actor: lock.Actor{Account: "acme"}, PolicySet: old.ID, SetAtGrant: set.ID,
			Verdicts: []lock.Verdict{{Policy: "maxttl", Verdict: "allow", CapTTL: time.Minute, CapWait: 0, LowersWait: true, Fuel: 7}}},
		{Seq: 3, Time: noon, Kind: lock.Stopped, Loaded: old},
	}}
	record.Seal(b, nil)
	lines := strings.Split(strings.TrimSuffix(string(b.Segment.Bytes), "\n"), "\n")
	for i, want := range []string{
		`{"seq":1,"time":"2026-03-04T12:00:00.123456Z","kind":"policies_loaded","cause":"new freeze","policy_set":"fedcba9876543210","policies":[{"policy":"freeze","digest":"00ff","mode":"enforce","hooks":["acquire","break"],"match":["prod/**","!prod/x"]},{"policy":"many","digest":"01ff","mode":"shadow","hooks":["renew"]}],"replaced":{"policy_set":"0123456789abcdef","policies":[]},"prev":""}`,
		`{"seq":2,"time":"2026-03-04T12:00:00.123456Z","kind":"granted","name":"a","token":2,"account":"acme","ttl_ms":60000,"verdicts":[{"policy":"maxttl","verdict":"allow","cap_ttl_ms":60000,"cap_wait_ms":0,"fuel":7}],"policy_set":"0123456789abcdef","policy_set_at_grant":"fedcba9876543210","prev":"` + hash(lines[0]) + `"}`,
		`{"seq":3,"time":"2026-03-04T12:00:00.123456Z","kind":"stopped","policy_set":"0123456789abcdef","policies":[],"prev":"` + hash(lines[1]) + `"}`,
	} {
		if lines[i] != want {
			t.Errorf("line %d\n got %s\nwant %s", i, lines[i], want)
		}
	}
	var read []record.Record
	for _, line := range lines {
		r, err := record.Parse([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, r)
	}
	if v := read[1].Verdicts[0]; v.CapTTL != time.Minute || !v.LowersWait || v.CapWait != 0 || read[1].PolicySet != old.ID || read[1].SetAtGrant != set.ID {
		t.Errorf("read back: %+v", read[1])
	}
	for i, want := range []string{
		"[{fedcba9876543210 [{freeze 00ff enforce [acquire break] [prod/** !prod/x]} {many 01ff shadow [renew] []}]} {0123456789abcdef []}]",
		"[]",
		"[{0123456789abcdef []}]",
	} {
		if got := fmt.Sprint(read[i].PolicySets()); got != want {
			t.Errorf("line %d describes %s, want %s", i, got, want)
		}
	}
	rows, err := new(record.CSV).Encode(append([]byte(`{"export":1}`+"\n"), b.Segment.Bytes...))
	if err != nil {
		t.Fatal(err)
	}
	table, err := csv.NewReader(bytes.NewReader(rows)).ReadAll()
	if err != nil || len(table) != 4 {
		t.Fatal(table, err)
	}
	for row, want := range []string{"policy_set policy_set_at_grant", set.ID + " ", old.ID + " " + set.ID, old.ID + " "} {
		if got := table[row][24] + " " + table[row][25]; got != want {
			t.Errorf("row %d has %q, want %q", row, got, want)
		}
	}
}

func hash(line string) string {
	sum := sha256.Sum256([]byte(line))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func FuzzEveryLineIsJSON(f *testing.F) {
	f.Add("holder", "reason", "k", "v")
	f.Add("\"\\", "\x00\x1f\x7f", "é", "\xff\xfe")
	f.Add("\u2028</script>", "", "", "\n")
	f.Fuzz(func(t *testing.T, holder, reason, k, v string) {
		b := &lock.Batch{Events: []lock.Event{{Seq: 1, Time: noon, Kind: lock.Denied, Cause: v,
			Lease: &lock.Lease{Name: "n", Holder: holder, Reason: reason, Metadata: map[string]string{k: v}}}}}
		record.Seal(b, nil)
		line := bytes.TrimSuffix(b.Segment.Bytes, []byte("\n"))
		if bytes.ContainsAny(line, "\n\r") {
			t.Fatalf("a line breaks: %q", line)
		}
		var got struct {
			Holder, Reason, Cause string
			Metadata              map[string]string
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		valid := func(s string) string { return string([]rune(s)) }
		if got.Holder != valid(holder) || got.Reason != valid(reason) || got.Cause != valid(v) || got.Metadata[valid(k)] != valid(v) {
			t.Errorf("got %+v from %q %q %q %q", got, holder, reason, k, v)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprint("events=", n), func(b *testing.B) {
			lease := &lock.Lease{Name: "deploy/prod", Account: "local", TTL: time.Minute}
			batch := &lock.Batch{}
			for i := range n {
				batch.Events = append(batch.Events, lock.Event{Seq: lock.Seq(1e15) + lock.Seq(i), Time: noon, Kind: lock.Granted, Lease: lease,
					Actor: lock.Actor{Account: "local", RemoteAddr: "127.0.0.1:54321", UserAgent: "curl/8.5.0"}, RequestID: "0123456789abcdef"})
			}
			b.ReportAllocs()
			for b.Loop() {
				record.Seal(batch, nil)
			}
			b.SetBytes(int64(len(batch.Segment.Bytes)))
			b.ReportMetric(float64(len(batch.Segment.Bytes))/float64(n), "bytes/event")
		})
	}
}
