package policybuilds_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool"
)

var corpus = octotest.Path("hooks/testdata/abi-v1")

// Modules that were built for version 1 of the interface load and answer as they did
// when they were built, byte for byte the same.
func TestModulesOfVersion1StillAnswer(t *testing.T) {
	sums, err := os.ReadFile(filepath.Join(corpus, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	modules := 0
	for line := range strings.Lines(string(sums)) {
		digest, path, _ := strings.Cut(strings.TrimSpace(line), "  ")
		modules++
		t.Run(filepath.Dir(path), func(t *testing.T) {
			module, err := policytool.ReadModule(filepath.Join(corpus, path))
			if err != nil {
				t.Fatal(err)
			}
			report := answersItsFixtures(t, module, policytool.Limits{}, filepath.Join(corpus, filepath.Dir(path), "fixtures"))
			if report.Digest != digest {
				t.Errorf("its digest is %s; it was %s: it was built again", report.Digest, digest)
			}
		})
	}
	kept, err := filepath.Glob(filepath.Join(corpus, "*", "*.wasm"))
	if err != nil || len(kept) != modules || modules < 6 {
		t.Errorf("%d modules are kept, %d are in SHA256SUMS (%v)", len(kept), modules, err)
	}
}

// Git keeps no other binaries, and these have to stay small.
func TestModuleCorpusIsSmall(t *testing.T) {
	kept, err := filepath.Glob(filepath.Join(corpus, "*", "*.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	var all int64
	for _, path := range kept {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		all += info.Size()
	}
	if all > 200<<10 {
		t.Errorf("the modules have %d bytes; at most 200 KiB are kept", all)
	}
}
