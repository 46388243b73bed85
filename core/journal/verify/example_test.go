package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
)

// What octostore audit key printed when the server was set up. An auditor keeps it apart
// from the server.
const publicKey = "WoQfqDq3EQbdfW_rhf0zaTTnKT82o3VHvgSVECFTihY"

// An auditor checks an export and reads its records, without a server.
func ExampleVerifier() {
	file, err := os.Open("testdata/export.ndjson") // written by octostore audit export
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	key, err := record.ParseKey(publicKey)
	if err != nil {
		log.Fatal(err)
	}

	v := verify.NewVerifier(key)
	v.Each = func(line []byte) error {
		r, err := record.Parse(line)
		if err == nil && r.Name != "" {
			fmt.Println(r.Time.Format("15:04:05"), r.Kind, r.Name, r.Holder)
		}
		return err
	}
	if err := v.Verify(file); err != nil {
		log.Fatal(err)
	}
	result := v.Result()
	fmt.Printf("%d records, %d of them signed for, complete: %t\n", result.Records, result.Signed, result.Complete)
	// Output:
	// 14:29:15 granted deploy/prod ci-1
	// 14:29:16 granted backup/db cron
	// 14:29:16 released backup/db cron
	// 4 records, 4 of them signed for, complete: true
}

// The first record that is not as it was written is named.
func ExampleFault() {
	export, err := os.ReadFile("testdata/export.ndjson")
	if err != nil {
		log.Fatal(err)
	}
	forged := bytes.Replace(export, []byte(`"holder":"ci-1"`), []byte(`"holder":"ci-2"`), 1)

	err = verify.NewVerifier(nil).Verify(bytes.NewReader(forged))
	if fault, is := errors.AsType[*verify.Fault](err); is {
		fmt.Printf("line %d: %s\n", fault.Line, fault.Problem)
	}
	// Output:
	// line 3: it was changed: the record after it has another hash of it
}

// The records alone tell which locks were held at the end.
func ExampleReplay() {
	file, err := os.Open("testdata/export.ndjson")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()

	replay := verify.NewReplay(0)
	v := verify.NewVerifier(nil)
	v.Each = replay.Apply
	if err := v.Verify(file); err != nil {
		log.Fatal(err)
	}
	for _, lease := range replay.Held() {
		fmt.Printf("%s is held by %s with fencing token %d\n", lease.Name, lease.Holder, lease.Token)
	}
	// Output:
	// deploy/prod is held by ci-1 with fencing token 1883022038138881
}
