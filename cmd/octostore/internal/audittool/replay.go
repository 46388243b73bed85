package audittool

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
)

var errDiffers = errors.New("the records and the database differ")

// Replay verifies files that continue each other, rebuilds the live leases from them, and
// prints these; it shows its progress on errs. With a table it
// compares them with the leases there instead.
func Replay(ctx context.Context, stdin io.Reader, out, errs io.Writer, key ed25519.PublicKey, db Table, files []string) error {
	replay, verdict, err := replayFiles(stdin, errs, key, files)
	if err != nil {
		return tampered(err)
	}
	if db == nil {
		err = printHeld(out, replay)
	} else {
		err = compareWithDatabase(ctx, out, replay, verdict, db)
	}
	if errors.Is(err, errDiffers) {
		return exitcode.As(exitcode.Tampered, err)
	}
	if err != nil {
		return err
	}
	return faultsOf(replay)
}

// replayFiles verifies the files and replays them at once.
func replayFiles(stdin io.Reader, errs io.Writer, key []byte, files []string) (*verify.Replay, verify.Result, error) {
	v := verify.NewVerifier(key)
	var replay *verify.Replay
	v.Each = func(line []byte) error {
		if replay == nil {
			after, err := record.ParseCursor(v.Result().After)
			if err != nil {
				return err
			}
			replay = verify.NewReplay(after)
		}
		return replay.Apply(line)
	}
	if err := verifyFiles(stdin, errs, v, files); err != nil {
		return nil, v.Result(), err
	}
	if replay == nil {
		return nil, v.Result(), errors.New("the export has no records")
	}
	return replay, v.Result(), nil
}

// compareWithDatabase applies the later records of the database to the rebuilt leases, and
// compares the result with the leases of the database.
func compareWithDatabase(ctx context.Context, out io.Writer, replay *verify.Replay, verdict verify.Result, db Table) error {
	later, follower := int64(0), ""
	last := replay.Last()
	in, err := db.Inspect(ctx, last, func(s lock.Segment) error {
		for l := range record.Lines(s, last) {
			if later++; later == 1 {
				r, err := record.Parse(l.Bytes)
				if err != nil {
					return err
				}
				follower = r.Prev
			}
			if err := replay.Apply(l.Bytes); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case !in.Key.Equal(verdict.Key):
		return fmt.Errorf(
			"the export is not of %s: that signs with %s, the export is signed by %s",
			db,
			record.FormatKey(in.Key),
			record.FormatKey(verdict.Key),
		)
	case in.Head.Seq < last:
		return fmt.Errorf("the export ends at %d, but %s at %d: the database is older", last, db, in.Head.Seq)
	case in.Cut.Seq > last:
		return fmt.Errorf(
			"the export ends at %d, but of %s everything up to %d was pruned: what is between them is in neither; export again, and give all files",
			last,
			db,
			in.Cut.Seq,
		)
	}
	if has := hashOfLast(&in, last, follower); has != record.FormatHash(verdict.Hash) {
		return fmt.Errorf(
			"%w: %s has not the record %d the export ends with: its hash there is %q, here %q. The database was replaced, perhaps by a backup, or its journal was written anew",
			errDiffers,
			db,
			last,
			has,
			record.FormatHash(verdict.Hash),
		)
	}
	differences, unknown := replay.Differences(in.Leases)
	fmt.Fprintf(
		out,
		"replayed: %s of the export and %s that the database has after it.\n",
		text.Count(verdict.Records, "record"),
		text.Count(later, "record"),
	)
	if unknown > 0 {
		fmt.Fprintf(out, "%s from before the export begins.\n", text.Count(int64(unknown), "lease"))
	}
	if len(differences) > 0 {
		return fmt.Errorf("%w:\n  %s", errDiffers, strings.Join(differences, "\n  "))
	}
	_, err = fmt.Fprintf(out, "The records and %s agree on %s.\n", db, text.Count(int64(len(in.Leases)-unknown), "lease"))
	return err
}

// hashOfLast returns the hash that the database has for the last record of an export.
// follower is the previous hash in the record after it, or empty if there is none.
func hashOfLast(in *content.Inspection, last lock.Seq, follower string) string {
	switch {
	case in.Head.Seq == last:
		return record.FormatHash(in.Head.Hash)
	case in.Cut.Seq == last:
		return record.FormatHash(in.Cut.Hash)
	}
	return follower
}

func printHeld(out io.Writer, replay *verify.Replay) error {
	held := replay.Held()
	if len(held) == 0 {
		_, err := fmt.Fprintf(out, "At record %d nothing is held.\n", replay.Last())
		return err
	}
	fmt.Fprintf(out, "At record %d these are held:\n", replay.Last())
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, h := range held {
		granted := "before the first record"
		if !h.Granted.IsZero() {
			granted = h.Granted.Format("2006-01-02 15:04:05")
		}
		fmt.Fprintf(table, "%s\ttoken %d\t%s\t%s\tsince %s\n", h.Name, h.Token, h.Account, h.Holder, granted)
	}
	return table.Flush()
}

func faultsOf(replay *verify.Replay) error {
	if faults := replay.Faults(); len(faults) > 0 {
		return exitcode.As(exitcode.Tampered, fmt.Errorf("the records contradict each other:\n  %s", strings.Join(faults, "\n  ")))
	}
	return nil
}
