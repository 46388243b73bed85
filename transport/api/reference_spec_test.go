package api_test

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"
	"testing"

	"github.com/oasdiff/yaml3"

	"github.com/octostore/octostore/transport/api"
)

// node is a part of openapi.yaml. The order of its members is that of the file.
type node struct{ own, root *yaml.Node }

func description(t *testing.T) node {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal(api.OpenAPI, &document); err != nil {
		t.Fatal(err)
	}
	root := document.Content[0]
	return node{root, root}
}

func (n node) exists() bool { return n.own != nil }

// ref is the name that a reference ends in; empty if n is none.
func (n node) ref() string {
	if target := n.member("$ref"); target.exists() {
		return target.own.Value[strings.LastIndexByte(target.own.Value, '/')+1:]
	}
	return ""
}

// follow returns what a reference refers to, or n.
func (n node) follow() node {
	target := n.member("$ref")
	if !target.exists() {
		return n
	}
	at := node{n.root, n.root}
	for _, part := range strings.Split(strings.TrimPrefix(target.own.Value, "#/"), "/") {
		at = at.member(part)
	}
	return at.follow()
}

// member is that of n itself; nothing if there is none.
func (n node) member(key string) node {
	if n.own != nil && n.own.Kind == yaml.MappingNode {
		for i := 0; i < len(n.own.Content); i += 2 {
			if n.own.Content[i].Value == key {
				return node{n.own.Content[i+1], n.root}
			}
		}
	}
	return node{nil, n.root}
}

// get is the member of n, or else of what it refers to.
func (n node) get(keys ...string) node {
	for _, key := range keys {
		at := n.member(key)
		if !at.exists() {
			at = n.follow().member(key)
		}
		n = at
	}
	return n
}

func (n node) text() string {
	if n.own == nil {
		return ""
	}
	return strings.TrimSpace(n.own.Value)
}

// line is a text without line breaks, for a cell of a table.
func (n node) line() string {
	return strings.ReplaceAll(strings.Join(strings.Fields(n.text()), " "), "|", `\|`)
}

func (n node) members() iter.Seq2[string, node] {
	return func(yield func(string, node) bool) {
		if n.own == nil || n.own.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i < len(n.own.Content); i += 2 {
			if !yield(n.own.Content[i].Value, node{n.own.Content[i+1], n.root}) {
				return
			}
		}
	}
}

func (n node) items() iter.Seq[node] {
	return func(yield func(node) bool) {
		if n.own == nil || n.own.Kind != yaml.SequenceNode {
			return
		}
		for _, item := range n.own.Content {
			if !yield(node{item, n.root}) {
				return
			}
		}
	}
}

// json writes an example with its members in the order of the file.
func (n node) json(t *testing.T) string {
	t.Helper()
	var flat, out bytes.Buffer
	n.writeJSON(t, &flat)
	if err := json.Indent(&out, flat.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func (n node) writeJSON(t *testing.T, to *bytes.Buffer) {
	t.Helper()
	separate := func(first *bool) {
		if !*first {
			to.WriteByte(',')
		}
		*first = false
	}
	first := true
	switch n.own.Kind {
	case yaml.MappingNode:
		to.WriteByte('{')
		for key, value := range n.members() {
			separate(&first)
			name, _ := json.Marshal(key)
			to.Write(append(name, ':'))
			value.writeJSON(t, to)
		}
		to.WriteByte('}')
	case yaml.SequenceNode:
		to.WriteByte('[')
		for value := range n.items() {
			separate(&first)
			value.writeJSON(t, to)
		}
		to.WriteByte(']')
	default:
		var value any
		if err := n.own.Decode(&value); err != nil {
			t.Fatal(err)
		}
		encoder := json.NewEncoder(to)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(value); err != nil {
			t.Fatal(err)
		}
	}
}
