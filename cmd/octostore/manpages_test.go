package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/manpages"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
)

// manPages writes the pages of all commands, and returns them by name.
func manPages(t *testing.T) (folder string, pages map[string]string) {
	t.Helper()
	folder, pages = t.TempDir(), map[string]string{}
	if err := manpages.Write(rootCommand(), folder); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(folder, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		pages[strings.TrimSuffix(file.Name(), ".1")] = string(content)
	}
	return folder, pages
}

// Every command that help shows has a page with everything that help shows, and no other has.
func TestManPagesAreThoseOfTheCommands(t *testing.T) {
	_, pages := manPages(t)
	seen := 0
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		seen++
		page := pages[manpages.Name(cmd)]
		for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "SEE ALSO"} {
			if n := strings.Count(page, "\n.SH \""+section+"\"\n"); n != 1 {
				t.Errorf("%s has %d sections %s", cmd.CommandPath(), n, section)
			}
		}
		plain := strings.ReplaceAll(page, `\-`, "-")
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if shown := strings.Contains(plain, `\fB--`+f.Name+`\fR`); shown == f.Hidden {
				t.Errorf("%s: --%s is hidden: %t, in the page: %t", cmd.CommandPath(), f.Name, f.Hidden, shown)
			}
		})
		for _, row := range exitcode.Table() {
			if !strings.Contains(page, "\n.TP\n\\fB"+strconv.Itoa(int(row.Code))+"\\fR\n") {
				t.Errorf("%s does not say what exit code %d means", cmd.CommandPath(), row.Code)
			}
		}
		for _, sub := range cmd.Commands() {
			if sub.Hidden || sub.Name() == "help" {
				if name := manpages.Name(sub); pages[name] != "" {
					t.Errorf("%s has a page", name)
				}
				continue
			}
			check(sub)
		}
	}
	check(rootCommand())
	if seen != len(pages) {
		t.Errorf("%d commands have %d pages", seen, len(pages))
	}
}

func TestManPagesAreTheSameEachTime(t *testing.T) {
	_, first := manPages(t)
	_, second := manPages(t)
	for name, page := range first {
		if page != second[name] {
			t.Errorf("%s differs", name)
		}
	}
}

// A page of a client says how it finds its server, and that of the server has its settings.
func TestManPagesHaveTheEnvironment(t *testing.T) {
	_, pages := manPages(t)
	for name, variables := range map[string][]string{
		"octostore":              session.Variables(),
		"octostore-acquire":      session.Variables(),
		"octostore-token-create": {"OCTOSTORE_URL", "OCTOSTORE_TOKEN"},
		"octostore-serve":        {"OCTOSTORE_ADDR", "OCTOSTORE_DB", "OCTOSTORE_MAX_TTL"},
	} {
		_, section, _ := strings.Cut(pages[name], "\n.SH \"ENVIRONMENT\"\n")
		section, _, _ = strings.Cut(section, "\n.SH ")
		for _, variable := range variables {
			if !strings.Contains(section, "\\fB"+variable+"\\fR\n") {
				t.Errorf("%s does not have %s:\n%s", name, variable, section)
			}
		}
	}
}

// The programs that show manual pages find no mistake in them, and show texts as they are.
func TestManPagesAreReadByTheirPrograms(t *testing.T) {
	folder, _ := manPages(t)
	pages, err := filepath.Glob(filepath.Join(folder, "*.1"))
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	for _, lint := range [][]string{{"groff", "-man", "-ww", "-z"}, {"mandoc", "-T", "lint", "-W", "warning"}} {
		if _, err := exec.LookPath(lint[0]); err != nil {
			t.Logf("SKIP: %s is not installed", lint[0])
			continue
		}
		out, _ := exec.Command(lint[0], slices.Concat(lint[1:], pages)...).CombinedOutput() // its findings are its output
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "missing date") { // so that they are the same whenever they are made
				t.Errorf("%s: %s", lint[0], line)
			}
		}
	}
	if _, err := exec.LookPath("man"); err != nil {
		t.Log("SKIP: man is not installed")
		return
	}
	show := exec.Command("man", "-l", filepath.Join(folder, "octostore-token-create.1"))
	show.Env = append(os.Environ(), "MANPAGER=cat", "MANWIDTH=120", "LC_ALL=C", "MAN_KEEP_FORMATTING=", "TERM=dumb")
	out, err := show.CombinedOutput()
	if want := "octostore token create --account ci --scope 'acquire,read:team-a/**' --expires 90d"; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("man does not show %q: %v\n%s", want, err, out)
	}
}

// make man runs the program with a build tag.
func TestManPagesAreWrittenByTheProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program once more")
	}
	_, want := manPages(t)
	folder := filepath.Join(t.TempDir(), "man")
	if out, err := exec.Command("go", "run", "-buildvcs=false", "-tags", "manpages", ".", folder).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != len(want) {
		t.Errorf("%d pages are written, want %d: %v", len(files), len(want), err)
	}
}
