package terminal_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
)

var hostile = []struct{ name, in, want string }{
	{"plain", "deploy/prod ci-1 ä 锁 🙂\tx\n", "deploy/prod ci-1 ä 锁 🙂\tx\n"},
	{"escape", "a\x1b[2Jb", `a\u001b[2Jb`},
	{"bell and title", "\x1b]0;x\x07", `\u001b]0;x\u0007`},
	{"carriage return", "good\rbad", `good\u000dbad`},
	{"backspace and delete", "a\bb\x7f", `a\u0008b\u007f`},
	{"C1 as a character", "a\u009b2J", `a\u009b2J`},
	{"C1 as a byte", "a\x9b2J", `a\x9b2J`},
	{"direction", "a\u202eb\u2066c\u200fd\u061c", `a\u202eb\u2066c\u200fd\u061c`},
	{"separators", "a\u2028b\u2029", `a\u2028b\u2029`},
	{"tags", "a\U000e0041", `a\udb40\udc41`},
	{"joiners", "ب\u200cا\u200d", "ب\u200cا\u200d"},
	{"not a character", "a\xffb", `a\xffb`},
}

func TestCleaningLeavesNothingToObey(t *testing.T) {
	for _, test := range hostile {
		t.Run(test.name, func(t *testing.T) {
			if got := terminal.Clean(test.in); got != test.want {
				t.Errorf("%q becomes %q, want %q", test.in, got, test.want)
			}
		})
	}
}

// The output does not depend on how a text is split into writes.
func TestWriterJoinsWhatIsCut(t *testing.T) {
	for _, test := range hostile {
		for cut := range len(test.in) {
			var out bytes.Buffer
			w := terminal.NewWriter(&out)
			for _, part := range []string{test.in[:cut], test.in[cut:]} {
				if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
					t.Fatalf("%s: %d, %v", test.name, n, err)
				}
			}
			if got := out.String(); got != test.want {
				t.Errorf("%s cut at %d: %q, want %q", test.name, cut, got, test.want)
			}
		}
	}
}

func TestCleanJSONMeansTheSame(t *testing.T) {
	in := "a\u202eb\u009b\U000e0041"
	doc, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out string
	if err := json.Unmarshal([]byte(terminal.Clean(string(doc))), &out); err != nil || out != in {
		t.Errorf("%q, %v; want %q", out, err, in)
	}
}
