package main

import (
	"testing"

	"github.com/octostore/octostore/plugins/guest/guesttest"
)

func TestFixtures(t *testing.T) { guesttest.Fixtures(t, "fixtures/*.json") }
