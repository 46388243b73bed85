package faults_test

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// A database in memory is served, and said to be one by the server and the doctor.
func TestDoctorAndServeWarnOfADatabaseInMemory(t *testing.T) {
	dir := newSmallDisk(t, "64m").dir
	p := octotest.Start(t, dir)
	if line, err := p.WaitLog(octotest.VolatilePlace, octotest.Patient); err != nil || line.Level != "WARN" {
		t.Errorf("the server says %+v, %v", line, err)
	}
	p.Kill()
	t.Setenv("OCTOSTORE_DB", filepath.Join(dir, "octostore.db"))
	t.Setenv("OCTOSTORE_ADDR", "127.0.0.1:0")
	if got := octotest.Run(t, "doctor"); !regexp.MustCompile(`(?m)^warn  place  .*` + octotest.VolatilePlace).MatchString(got.Stdout) {
		t.Errorf("the doctor says\n%s", got.Stdout)
	}
}
