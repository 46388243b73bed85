package session

import (
	"errors"
	"fmt"
	"os"

	"github.com/octostore/octostore/transport/client"
)

// Explain returns the text of an error for people. If no server answers, it says which URL
// was tried, and what sets it.
func Explain(err error) string {
	down, is := errors.AsType[*client.UnreachableError](err)
	named := os.Getenv("OCTOSTORE_URL")
	switch {
	case !is:
		return err.Error()
	case down.Untrusted():
		return fmt.Sprintf("%v; OCTOSTORE_CA_FILE or --ca-file names a file of certificates to trust besides those of the system", err)
	case named == "" && down.URL == client.DefaultURL:
		return fmt.Sprintf("%v; is the server running? OCTOSTORE_URL=%s (the default)", err, down.URL)
	case serverKey(Redacted(named)) == serverKey(down.URL):
		return fmt.Sprintf("%v; is the server running? OCTOSTORE_URL=%s", err, down.URL)
	}
	return fmt.Sprintf("%v; is the server running? This URL is that of --url or of a profile", err)
}
