package audittool

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// history is what happened on one morning. The grant of "old" is not on record.
var history = []string{
	`{"export":1,"verifiable":true,"after":"9"}`,
	`{"seq":10,"time":"2026-11-27T08:00:00Z","kind":"granted","name":"a","token":10,"account":"acme","holder":"ci-1","reason":"release","ttl_ms":600000,"token_id":"t1","remote_addr":"192.0.2.1:9","verdicts":[{"policy":"freeze","at":"request","mode":"enforce","verdict":"allow"},{"policy":"quota","at":"request","mode":"shadow","verdict":"deny","reason":"too many"}],"prev":""}`,
	`{"seq":11,"time":"2026-11-27T08:01:00Z","kind":"released","name":"old","token":5,"account":"acme","holder":"ci-0","held_ms":3600000,"prev":""}`,
	`{"seq":12,"time":"2026-11-27T08:02:00Z","kind":"denied","name":"a","account":"bob","prev":""}`,
	`{"seq":13,"time":"2026-11-27T08:05:00Z","kind":"renewed","name":"a","token":10,"account":"acme","holder":"ci-1","reason":"release","ttl_ms":600000,"expires_at":"2026-11-27T08:15:00Z","verdicts":[{"policy":"freeze","at":"renew","mode":"enforce","verdict":"allow"}],"prev":""}`,
	`{"seq":14,"time":"2026-11-27T08:06:00Z","kind":"renewed","name":"older","token":4,"account":"bob","holder":"cron","ttl_ms":600000,"expires_at":"2026-11-27T08:16:00Z","prev":""}`,
	`{"seq":15,"time":"2026-11-27T08:07:00Z","kind":"granted","name":"b","token":15,"account":"bob","holder":"=cmd()","ttl_ms":15000,"prev":""}`,
	`{"seq":16,"time":"2026-11-27T08:07:15Z","kind":"expired","name":"b","token":15,"account":"bob","holder":"=cmd()","held_ms":15000,"cause":"never confirmed","prev":""}`,
	`{"seq":17,"time":"2026-11-27T08:10:00Z","kind":"broken","name":"a","token":10,"account":"acme","holder":"ci-1","reason":"release","held_ms":600000,"by":"ops","cause":"stuck","prev":""}`,
	`{"seq":18,"time":"2026-11-27T08:11:00Z","kind":"granted","name":"a","token":18,"account":"bob","holder":"ci-2","ttl_ms":600000,"prev":""}`,
	`{"seq":19,"time":"2026-11-27T08:11:00.5Z","kind":"undone","name":"a","token":18,"account":"bob","holder":"ci-2","held_ms":500,"prev":""}`,
	`{"seq":20,"time":"2026-11-27T08:12:00Z","kind":"granted","name":"a","token":20,"account":"acme","holder":"ci-3","ttl_ms":600000,"policy_set":"0123456789abcdef","policy_set_at_grant":"fedcba9876543210","prev":""}`,
	`{"end":true,"records":11}`,
}

func search(t *testing.T, q Query) (all []*Lease) {
	t.Helper()
	ls := newLeaseLog(q, func(l *Lease) error { all = append(all, l); return nil })
	for _, line := range history {
		if err := ls.Add([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if err := ls.End(); err != nil {
		t.Fatal(err)
	}
	return all
}

// short is "name token end" of each.
func short(all []*Lease) string {
	var b strings.Builder
	for _, l := range all {
		fmt.Fprintf(&b, "%s %d %s, ", l.Name, l.Token, l.End)
	}
	return strings.TrimSuffix(b.String(), ", ")
}

func clock(text string) time.Time {
	t, err := time.Parse(time.RFC3339, "2026-11-27T"+text+"Z")
	if err != nil {
		panic(err)
	}
	return t
}

func TestLeasesAreFoundByTimeNameAndAccount(t *testing.T) {
	at := func(text string) (q Query) { q.At(clock(text)); return q }
	for _, test := range []struct {
		name  string
		query Query
		want  string
	}{
		{"all", Query{}, "old 5 released, b 15 expired, a 10 broken, a 18 undone, a 20 held, older 4 held"},
		{"before the records", at("07:30:00"), "old 5 released, older 4 held"},
		{"before all that is known", at("06:00:00"), "older 4 held"},
		{"at the instant of a grant", at("08:00:00"), "old 5 released, a 10 broken, older 4 held"},
		{"at the instant of an end", at("08:10:00"), "older 4 held"},
		{"between an end and a grant", at("08:11:30"), "older 4 held"},
		{"during a renewed lease", at("08:07:10"), "b 15 expired, a 10 broken, older 4 held"},
		{"after the records", at("09:00:00"), "a 20 held, older 4 held"},
		{"since", Query{Since: clock("08:10:00")}, "a 18 undone, a 20 held, older 4 held"},
		{"until", Query{Until: clock("08:07:00")}, "old 5 released, a 10 broken, older 4 held"},
		{"a span", Query{Since: clock("08:07:00"), Until: clock("08:11:00")}, "b 15 expired, a 10 broken, older 4 held"},
		{"a name", Query{Name: "a"}, "a 10 broken, a 18 undone, a 20 held"},
		{"a prefix", Query{Prefix: "old"}, "old 5 released, older 4 held"},
		{"an account", Query{Account: "bob"}, "b 15 expired, a 18 undone, older 4 held"},
		{"all of it", Query{Name: "a", Account: "bob", Since: clock("08:11:00"), Until: clock("08:11:01")}, "a 18 undone"},
	} {
		if got := short(search(t, test.query)); got != test.want {
			t.Errorf("%s: %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestLeasesTellHowTheyEndedAndWhoHadASay(t *testing.T) {
	broken := search(t, Query{Name: "a"})[0]
	if broken.By != "ops" || broken.Cause != "stuck" || broken.HeldMS != 600_000 || !broken.GrantedAt.Equal(clock("08:00:00")) || !broken.EndedAt.Equal(clock("08:10:00")) ||
		broken.TokenID != "t1" || broken.ExpiresAt != nil {
		t.Errorf("%+v", broken)
	}
	if got := broken.policies(); got != "freeze=allow, quota=deny (shadow)" || broken.Policies[2].At != "renew" {
		t.Errorf("policies %s", got)
	}
	if b := search(t, Query{Name: "b"})[0]; b.End != "expired" || b.Cause != "never confirmed" {
		t.Errorf("%+v", b)
	}
	if old := search(t, Query{Name: "old"})[0]; old.GrantedAt != nil || old.HeldMS != 3_600_000 {
		t.Errorf("%+v", old)
	}
	if held := search(t, Query{Name: "older"})[0]; held.GrantedAt != nil || held.EndedAt != nil || !held.ExpiresAt.Equal(clock("08:16:00")) {
		t.Errorf("%+v", held)
	}
}

func TestLeasesThatAreNotConfirmedEndSooner(t *testing.T) {
	var all []*Lease
	ls := newLeaseLog(Query{}, func(l *Lease) error { all = append(all, l); return nil })
	if err := ls.Add([]byte(`{"seq":1,"time":"2026-11-27T08:00:00Z","kind":"granted","name":"a","token":1,"ttl_ms":600000,"confirm_ms":15000}`)); err != nil {
		t.Fatal(err)
	}
	if err := ls.End(); err != nil {
		t.Fatal(err)
	}
	if !all[0].ExpiresAt.Equal(clock("08:00:15")) {
		t.Errorf("%+v", all[0])
	}
}

// A lock that is given to the next while the end of the lease before is not among the
// records, as in a file that lacks some.
func TestLeasesWithoutAnEndAreNotForgotten(t *testing.T) {
	var all []*Lease
	ls := newLeaseLog(Query{}, func(l *Lease) error { all = append(all, l); return nil })
	for _, line := range []string{history[1], history[9], history[8]} { // granted, granted to another, the end of the first
		if err := ls.Add([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if got := short(all); got != "a 10 held, a 18 held, a 10 broken" {
		t.Errorf("%s", got)
	}
}

// Whatever the number of records, what is remembered are the leases that have not ended.
func TestLeasesRememberOnlyThoseThatLive(t *testing.T) {
	told := 0
	ls := newLeaseLog(Query{}, func(*Lease) error { told++; return nil })
	for i := range 50_000 {
		name := fmt.Sprintf("n%d", i)
		for _, kind := range []lock.Kind{lock.Granted, lock.Renewed, lock.Released} {
			line := fmt.Sprintf(`{"seq":%d,"time":"2026-11-27T08:00:00Z","kind":%q,"name":%q,"token":%d,"account":"x","ttl_ms":1000}`, 3*i+1, kind, name, 3*i+1)
			if err := ls.Add([]byte(line)); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(ls.live); n > 1 {
			t.Fatalf("after %d leases %d are remembered", i+1, n)
		}
	}
	if told != 50_000 {
		t.Errorf("%d were told of", told)
	}
}

func TestLeasesArePrinted(t *testing.T) {
	printed := func(format string, all []*Lease) string {
		var out bytes.Buffer
		p := newPrinter(format, &out)
		for _, l := range all {
			if err := p.Lease(l); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	all := search(t, Query{})
	const text = `FROM                  TO                    HELD        END       LOCK, HOLDER@ACCOUNT AND THE REST
before the records    2026-11-27T08:01:00Z  1h0m0s      released  old  ci-0@acme  token 5
2026-11-27T08:07:00Z  2026-11-27T08:07:15Z  15s         expired   b  =cmd()@bob  token 15  cause "never confirmed"
2026-11-27T08:00:00Z  2026-11-27T08:10:00Z  10m0s       broken    a  ci-1@acme  token 10  reason "release"  by ops  cause "stuck"  policies freeze=allow, quota=deny (shadow)
2026-11-27T08:11:00Z  2026-11-27T08:11:00Z  500ms       undone    a  ci-2@bob  token 18
2026-11-27T08:12:00Z  -                     -           held      a  ci-3@acme  token 20  until 2026-11-27T08:22:00Z  policy set fedcba9876543210
before the records    -                     -           held      older  cron@bob  token 4  until 2026-11-27T08:16:00Z
`
	if got := printed("text", all); got != text {
		t.Errorf("got\n%s\nwant\n%s", got, text)
	}
	if got := printed("text", nil); got != "No leases.\n" {
		t.Errorf("nothing is %q", got)
	}
	var doc []map[string]any
	if err := json.Unmarshal([]byte(printed("json", all)), &doc); err != nil || len(doc) != 6 || doc[0]["granted_at"] != nil || doc[2]["end"] != "broken" {
		t.Errorf("%v, %v", doc, err)
	}
	if got := printed("json", nil); got != "[]\n" {
		t.Errorf("nothing is %q", got)
	}
	rows, err := csv.NewReader(strings.NewReader(printed("csv", all))).ReadAll()
	if err != nil || len(rows) != 7 || rows[0][0] != "name" || rows[2][3] != "'=cmd()" {
		t.Errorf("%q, %v", rows, err)
	}
	if got := printed("csv", nil); strings.Count(got, "\n") != 1 {
		t.Errorf("nothing is %q", got)
	}
}

// Two leases of one lock with a gap in the records between them are two.
func TestLeasesOnBothSidesOfAGapAreTold(t *testing.T) {
	const line = `{"seq":%d,"time":"2026-11-27T08:00:00Z","kind":"%s","name":"a","token":%d,"ttl_ms":600000}`
	for _, kind := range []lock.Kind{lock.Renewed, lock.Released} {
		var all []*Lease
		ls := newLeaseLog(Query{}, func(l *Lease) error { all = append(all, l); return nil })
		for _, r := range []string{fmt.Sprintf(line, 5, lock.Granted, 5), fmt.Sprintf(line, 12, kind, 9), fmt.Sprintf(line, 13, lock.Released, 9)} {
			if kind == lock.Released && strings.Contains(r, `"seq":13`) {
				continue
			}
			if err := ls.Add([]byte(r)); err != nil {
				t.Fatal(err)
			}
		}
		if got := short(all); got != "a 5 held, a 9 released" {
			t.Errorf("%s: %s, want two leases", kind, got)
		}
	}
}
