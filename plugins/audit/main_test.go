package main

import (
	"fmt"
	"testing"

	"github.com/octostore/octostore/plugins/guest/guesttest"
)

func TestFixtures(t *testing.T) { guesttest.Fixtures(t, "fixtures/*.json") }

func TestLogHasTheImportantEvents(t *testing.T) {
	const denied = `{"seq":7,"time":"2026-01-01T00:00:00Z","kind":"denied","name":"prod/db","account":"ci","holder":"ci 1",` +
		`"reason":"x cause=none","metadata":{"ticket":"OPS-7","other":"y"},"request_id":"r1","cause":"policy freeze: \"not\" today","verdicts":[{"policy":"freeze","reason":"no"}],"prev":""}`
	for _, tt := range []struct{ name, config, event, want string }{
		{"a denial", `{"metadata":["ticket"]}`, denied,
			`1 denied seq=7 name=prod/db account=ci holder="ci 1" reason="x cause=none" metadata.ticket=OPS-7 request_id=r1 cause="policy freeze: \"not\" today"`},
		{"a break is a warning", `{}`, `{"seq":8,"kind":"broken","name":"a","by":"admin"}`, "2 broken seq=8 name=a by=admin"},
		{"a grant does not matter", `{}`, `{"seq":8,"kind":"granted","name":"a"}`, ""},
		{"unless it is asked for", `{"kinds":["grant*"],"warn":["*"]}`, `{"seq":8,"kind":"granted","name":"a"}`, "2 granted seq=8 name=a"},
	} {
		if err := guesttest.Configure(tt.config); err != nil {
			t.Fatal(tt.name, err)
		}
		got := ""
		for _, l := range guesttest.Observe(tt.event).Log {
			got += fmt.Sprint(int(l.Level), " ", l.Text)
		}
		if got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}
