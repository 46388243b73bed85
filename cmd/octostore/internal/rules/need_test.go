package rules

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A machine without the right tools is told in one sentence what is missing and how
// to get it, by the targets that newcomers run first.
func TestMissingToolsAreNamed(t *testing.T) {
	tests := []struct {
		name   string
		target string
		goes   string // what the go command of the machine is: a version, "none", or "ours"
		env    string
		want   []string
	}{
		{"no Go, demo", "demo", "none", "", []string{"no 'go' command", "https://go.dev/dl/"}},
		{"no Go, test", "test", "none", "", []string{"no 'go' command", "https://go.dev/dl/"}},
		{"no Go, check", "check", "none", "", []string{"no 'go' command", "https://go.dev/dl/"}},
		{"old Go, demo", "demo", "go1.19.13", "", []string{"Go 1.26 or newer", "has go1.19.13", "https://go.dev/dl/"}},
		{"old Go, test", "test", "go1.25.7", "", []string{"Go 1.26 or newer", "has go1.25.7", "https://go.dev/dl/"}},
		{"old Go, check", "check", "go1.9", "", []string{"Go 1.26 or newer", "has go1.9", "https://go.dev/dl/"}},
		{"no compiler, check", "check", "go1.27rc1", "CC=no-such-cc", []string{"no 'no-such-cc' here", "apt-get install gcc", "make test"}},
		{"no compiler, race", "race", "go2.0", "CC=no-such-cc -m64", []string{"no 'no-such-cc' here", "xcode-select --install"}},
	}
	programs := machine(t, "make", "sh", "sed", "cut", "git")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bin := t.TempDir()
			if tt.goes != "none" {
				writeGo(t, filepath.Join(bin, "go"), tt.goes)
			}
			cmd := exec.Command("make", "--no-print-directory", tt.target)
			cmd.Dir = filepath.Join("..", "..", "..", "..")
			cmd.Env = []string{"PATH=" + bin + ":" + programs, "HOME=" + t.TempDir(), "GO=go"}
			if tt.env != "" {
				cmd.Env = append(cmd.Env, tt.env)
			}
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("make %s succeeded", tt.target)
			}
			first, _, _ := strings.Cut(string(out), "\n")
			for _, want := range tt.want {
				if !strings.Contains(first, want) {
					t.Errorf("the first line does not say %q:\n%s", want, out)
				}
			}
		})
	}
}

// machine makes a folder with only these programs, skipping where one is missing.
func machine(t *testing.T, programs ...string) string {
	t.Helper()
	bin := t.TempDir()
	for _, p := range programs {
		path, err := exec.LookPath(p)
		if err != nil {
			t.Skipf("%s is not installed", p)
		}
		if err := os.Symlink(path, filepath.Join(bin, p)); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// writeGo writes a go command that knows its version and its C compiler, and fails at all else.
func writeGo(t *testing.T, path, version string) {
	t.Helper()
	script := "#!/bin/sh\ncase \"$1 $2\" in\n\"env GOVERSION\") echo " + version + " ;;\n\"env CC\") echo \"$CC\" ;;\n*) exit 3 ;;\nesac\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}
