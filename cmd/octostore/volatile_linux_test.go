package main

import (
	"path/filepath"
	"regexp"
	"testing"
)

// A database in memory is served, and said to be one by the server and the doctor.
func TestDoctorAndServeWarnOfADatabaseInMemory(t *testing.T) {
	dir := newSmallDisk(t, "64m").dir
	p := newProcess(t, dir)
	if line, err := p.waitLog(volatilePlace, patient); err != nil || line.Level != "WARN" {
		t.Errorf("the server says %+v, %v", line, err)
	}
	p.kill()
	t.Setenv("OCTOSTORE_DB", filepath.Join(dir, "octostore.db"))
	t.Setenv("OCTOSTORE_ADDR", "127.0.0.1:0")
	if got := runCommand(t, "doctor"); !regexp.MustCompile(`(?m)^warn  place  .*` + volatilePlace).MatchString(got.out) {
		t.Errorf("the doctor says\n%s", got.out)
	}
}
