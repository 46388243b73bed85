package locktool

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/core/files"
)

// LeaseSource has the flags that say where a lease id is. Where both are empty it is in the
// environment: in OCTOSTORE_LEASE_ID, or in the file that OCTOSTORE_LEASE_ID_FILE names.
type LeaseSource struct {
	ID   string // the lease id; - is the standard input
	File string // - is the standard input
}

// largestLeaseID is the size limit of what a lease id is read from.
const largestLeaseID = 4 << 10

// Read returns the lease id. Its errors do not contain it.
func (s LeaseSource) Read(stdin io.Reader) (string, error) {
	file, from := s.File, "--lease-file"
	switch {
	case s.ID == "-" || file == "-":
		content, err := io.ReadAll(io.LimitReader(stdin, largestLeaseID))
		if err != nil {
			return "", fmt.Errorf("read the lease id from the standard input: %w", err)
		}
		return leaseID("the standard input", string(content))
	case s.ID != "":
		return leaseID("--lease", s.ID)
	case file == "" && os.Getenv("OCTOSTORE_LEASE_ID") != "":
		return leaseID("OCTOSTORE_LEASE_ID", os.Getenv("OCTOSTORE_LEASE_ID"))
	case file == "":
		file, from = os.Getenv("OCTOSTORE_LEASE_ID_FILE"), "OCTOSTORE_LEASE_ID_FILE"
	}
	if file == "" {
		return "", exitcode.Usagef(
			"want the lease id that acquire printed: in OCTOSTORE_LEASE_ID, in a file (--lease-file FILE), or on the standard input (--lease -)",
		)
	}
	content, _, err := files.ReadSecret(file, largestLeaseID)
	if err != nil {
		return "", fmt.Errorf("%s: %w", from, err)
	}
	return leaseID(from, string(content))
}

// leaseID checks that a text can be sent as a lease id.
func leaseID(from, content string) (string, error) {
	id := strings.TrimSpace(content)
	if id == "" || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", exitcode.Usagef("%s does not have a lease id alone on one line", from)
	}
	return id, nil
}
