package text

import (
	"encoding/json"
	"io"

	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
)

// JSON writes v as indented JSON, byte by byte unless w is a terminal.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(terminal.Exact(w))
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
