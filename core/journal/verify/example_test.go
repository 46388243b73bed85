package verify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// An export verifies as it was written. With one byte changed, the error names the record.
// A verifier without a key trusts the key that the export names; pass the key that
// octostore audit key prints to know whose export it is.
func Example() {
	export, err := exportOfThreeRecords()
	if err != nil {
		fmt.Println(err)
		return
	}
	v := verify.NewVerifier(nil)
	err = v.Verify(bytes.NewReader(export))
	fmt.Println(v.Result().Records, "records, error:", err)

	changed := bytes.Replace(export, []byte(`"holder":"ci-2"`), []byte(`"holder":"ci-9"`), 1)
	err = verify.NewVerifier(nil).Verify(bytes.NewReader(changed))
	var fault *verify.Fault
	if errors.As(err, &fault) {
		fmt.Println("changed: record", fault.Seq, "on line", fault.Line)
	}
	// Output:
	// 3 records, error: <nil>
	// changed: record 2 on line 3
}

func exportOfThreeRecords() ([]byte, error) {
	ctx := context.Background()
	j := journal.New(memory.New())
	if _, err := j.Load(ctx); err != nil {
		return nil, err
	}
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	var b lock.Batch
	for seq := lock.Seq(1); seq <= 3; seq++ {
		lease := &lock.Lease{Name: "deploy/prod", Token: seq, Account: "ci", Holder: fmt.Sprintf("ci-%d", seq), TTL: time.Minute}
		b.Events = append(b.Events, lock.Event{Seq: seq, Time: now, Kind: lock.Granted, Lease: lease})
	}
	if err := j.Commit(ctx, &b); err != nil {
		return nil, err
	}
	j.Publish()

	var out bytes.Buffer
	e := j.Export(journal.Query{})
	out.Write(e.Opening(now))
	for {
		lines, err := e.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			out.Write(line)
		}
	}
	out.Write(e.Closing())
	return out.Bytes(), nil
}
