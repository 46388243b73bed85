package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
	audit "github.com/octostore/octostore/transport/client"
)

// audit: everything is in the audit log, and the log proves itself.
func (s *stage) audit(ctx context.Context) error {
	s.does("I", "GET /v1/audit")
	export, err := export(ctx, s.client)
	if err != nil {
		return err
	}
	names, d, err := storyOf(export)
	if err != nil {
		return err
	}
	s.hears("I", "%d records, signed, none changed or missing. What happened to %s:", d.Records, deploy)
	for _, name := range names {
		s.say("        %s", name)
	}
	s.say("     … a forger makes the record say that C had the lock …")
	forged := bytes.Replace(export, []byte(`"holder":"B"`), []byte(`"holder":"C"`), 1)
	var fault *verify.Fault
	if err := verify.NewVerifier(nil).Verify(bytes.NewReader(forged)); !errors.As(err, &fault) {
		return errors.New("the forgery was not noticed")
	}
	s.hears("I", "line %d, record %d is not what was written", fault.Line, fault.Seq)
	return nil
}

// storyOf verifies an export, and returns what happened to the lock of most scenes.
func storyOf(export []byte) (names []string, verdict verify.Result, err error) {
	v := verify.NewVerifier(nil)
	v.Each = func(line []byte) error {
		r, err := record.Parse(line)
		if err == nil && r.Name == deploy {
			names = append(names, fmt.Sprintf("%s %s", r.Kind, r.Holder))
		}
		return err
	}
	err = v.Verify(bytes.NewReader(export))
	return names, v.Result(), err
}

func export(ctx context.Context, from *client) ([]byte, error) {
	c, err := audit.New(audit.Config{URL: from.url, HTTP: from.http})
	if err != nil {
		return nil, err
	}
	body, err := c.Audit(ctx, audit.AuditQuery{})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}
