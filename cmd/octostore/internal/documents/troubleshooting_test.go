package documents_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// The first cells of the tables of docs/troubleshooting.md quote messages.
var (
	symptomRow = regexp.MustCompile(`(?m)^\| (.*?) \| .* \| .* \|$`)
	quoted     = regexp.MustCompile("`([^`]+)`")
	literal    = regexp.MustCompile("\"(?:[^\"\\\\\n]|\\\\.)*\"|`[^`]*`")
	verbs      = regexp.MustCompile(`%[-+#0-9.]*[a-z]`)
)

// Every message that the page quotes is in the code: its parts between what differs are in one
// message, in this order.
func TestTroubleshootingQuotesRealMessages(t *testing.T) {
	page, err := os.ReadFile(octotest.Path("docs/troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	messages := messagesOfTheCode(t)
	checked := 0
	for _, row := range symptomRow.FindAllStringSubmatch(string(page), -1) {
		for _, m := range quoted.FindAllStringSubmatch(row[1], -1) {
			if !strings.Contains(m[1], " ") || strings.HasPrefix(m[1], "curl") {
				continue // a code, or a command
			}
			checked++
			if !isMessage(messages, m[1]) {
				t.Errorf("no message of the code is %q", m[1])
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d messages were found", checked)
	}
}

func isMessage(messages []string, shown string) bool {
	parts := strings.Split(shown, "…")
	for _, message := range messages {
		if inOrder(message, parts) {
			return true
		}
	}
	return false
}

func inOrder(message string, parts []string) bool {
	for _, part := range parts {
		_, after, found := strings.Cut(message, part)
		if !found {
			return false
		}
		message = after
	}
	return true
}

// messagesOfTheCode returns the texts in the code, those that are joined by a plus as one.
// Verbs of formats are …, as on the page.
func messagesOfTheCode(t *testing.T) (messages []string) {
	t.Helper()
	joined := regexp.MustCompile("(?:" + literal.String() + `)(?:\s*\+\s*(?:[\w.()\[\]{}]+\s*\+\s*)?(?:` + literal.String() + "))*")
	for _, tree := range []string{"cmd", "core", "hooks", "transport"} {
		err := filepath.WalkDir(octotest.Path(tree), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "mutants") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, one := range joined.FindAllString(string(text), -1) {
				message := ""
				for _, part := range literal.FindAllString(one, -1) {
					if whole, err := strconv.Unquote(part); err == nil {
						message += whole
					}
				}
				messages = append(messages, verbs.ReplaceAllString(message, "…"))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return messages
}
