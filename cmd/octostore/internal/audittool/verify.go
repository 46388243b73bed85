package audittool

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
)

// Verify verifies files that continue each other, and prints how far they are signed. With
// a nil key it accepts the key named in the files. If the files were changed, it prints to
// errs how far they are good.
func Verify(stdin io.Reader, out, errs io.Writer, key ed25519.PublicKey, files []string) error {
	v := verify.NewVerifier(key)
	if err := tampered(verifyFiles(stdin, errs, v, files)); err != nil {
		if d := v.Result(); d.Records > 0 {
			fmt.Fprint(errs, goodUpTo(d))
		}
		return err
	}
	_, err := io.WriteString(out, verdictText(v.Result(), key != nil))
	return err
}

// tampered gives an error about the content of an export its exit code.
func tampered(err error) error {
	if _, is := errors.AsType[*verify.Fault](err); is {
		return exitcode.As(exitcode.Tampered, err)
	}
	return err
}

// verifyFiles verifies files one after the other, and shows its progress on errs. Its errors
// name the file.
func verifyFiles(stdin io.Reader, errs io.Writer, v *verify.Verifier, files []string) error {
	files, err := expand(files)
	if err != nil {
		return err
	}
	p := terminal.NewProgress(errs, "verify")
	defer p.End()
	p.Expect(sizeOf(files))
	for _, name := range files {
		if err := verifyFile(stdin, p, v, name); err != nil {
			if _, isPath := errors.AsType[*os.PathError](err); isPath {
				return err // it names the file
			}
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// sizeOf returns the size of all files; 0 if it is not known.
func sizeOf(files []string) (all int64) {
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			return 0
		}
		all += info.Size()
	}
	return all
}

func verifyFile(stdin io.Reader, p *terminal.Progress, v *verify.Verifier, name string) error {
	if name == "-" {
		return v.Verify(p.Reader(stdin))
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return v.Verify(p.Reader(f))
}

// goodUpTo describes the records before a fault: how far they verify and are signed.
func goodUpTo(d verify.Result) string {
	good := fmt.Sprintf("%s, up to %d, follow from each other. ", text.Count(d.Records, "record"), d.Last)
	if d.Vouched == 0 {
		return good + "No signature vouches for them.\n"
	}
	return good + fmt.Sprintf("Signatures vouch for %s, up to %d.\n", text.Count(d.Signed, "of them"), d.Vouched)
}

func verdictText(d verify.Result, pinned bool) string {
	var b strings.Builder
	if d.Records == 0 {
		fmt.Fprintf(&b, "verified: no records after %s.\n", d.After)
	} else {
		fmt.Fprintf(&b, "verified: %s, from %d to %d. None was changed, dropped, inserted or moved.\n",
			text.Count(d.Records, "record"), d.First, d.Last)
	}
	fmt.Fprintf(&b, "Signatures by %s vouch for all of it.\n", record.FormatKey(d.Key))
	if !pinned {
		b.WriteString("The file itself names that key. Compare it with what octostore audit key printed, or give that with --key.\n")
	}
	switch {
	case d.Complete:
		b.WriteString("Nothing is missing before it, except what a record says was pruned.\n")
	case d.Records > 0:
		fmt.Fprintf(&b, "It begins after %s; the files before it tell what was before.\n", d.After)
	}
	fmt.Fprintf(&b, "The last export was made at %s.\n", d.Made.Format(time.RFC3339))
	if d.More {
		b.WriteString("The journal went on when it was made.\n")
	}
	return b.String()
}
