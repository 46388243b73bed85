package config

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzEnvFile: a file is read as a whole or refused with the number of a line, and
// what is refused shows nothing of the file, which may hold secrets.
func FuzzEnvFile(f *testing.F) {
	f.Add("OCTOSTORE_ADDR=127.0.0.1:1\n# a comment\nexport A='b c'\n")
	f.Add("A=\"b\nc\"\nB=$A\n")
	f.Add("secret-sesame\n")
	f.Add("A='secret-sesame\n")
	f.Add("\xef\xbb\xbfA=b\r\n=\x00")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "env")
		write(t, path, text)
		variables, err := readEnvFile(path)
		if err == nil {
			for name := range variables {
				if name != strings.TrimSpace(name) {
					t.Errorf("%q gives a variable %q", text, name)
				}
			}
			return
		}
		said := strings.ReplaceAll(err.Error(), path, "")
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); len(line) > 8 && strings.Contains(said, line) {
				t.Errorf("%q: the error shows a line: %s", text, said)
			}
		}
	})
}
