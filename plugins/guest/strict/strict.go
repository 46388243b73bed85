// Package strict reads the configuration of a policy so that every mistake in it
// refuses the load and is named, with its place:
//
//	func configure(config []byte) error {
//		return strict.Read(config, func(o *strict.Object) {
//			most = o.Duration("most")
//			o.Objects("rules", func(o *strict.Object) {
//				rules = append(rules, rule{match: o.Names("match"), deny: o.Bool("deny")})
//			})
//		})
//	}
//
// A member that the function does not read is unknown, and an error. Read reports all
// mistakes at once.
package strict

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/plugins/guest/internal/scan"
)

// Object is an object of the configuration. A missing member reads as the zero value;
// [Object.Need] makes members mandatory.
type Object struct {
	at      string // "rules[2]." or empty
	members []member
	wrong   *string // all mistakes, shared by all objects of a configuration
}

type member struct {
	name, value string
	asked       bool
}

// Read calls f with a configuration, which must be valid JSON, and returns an error with all
// its mistakes. Use the values that f read only if the error is nil.
func Read(config []byte, f func(*Object)) error {
	var wrong string
	whole := &Object{wrong: &wrong}
	if text := scan.Space(string(config)); strings.HasPrefix(text, "{") {
		whole.read(text, f)
	} else {
		whole.Fail("config", "is "+text+"; want an object")
	}
	if wrong != "" {
		return errors.New(wrong)
	}
	return nil
}

// read calls f with an object, and reports the members that f did not read.
func (o *Object) read(object string, f func(*Object)) {
	for name, value := range scan.Members(object) {
		name = scan.Text(`"` + name + `"`)
		if o.index(name) >= 0 {
			o.Fail(name, "is there twice")
			continue
		}
		o.members = append(o.members, member{name: name, value: value})
	}
	f(o)
	for _, m := range o.members {
		if !m.asked {
			o.Fail(m.name, "is not known")
		}
	}
}

// Fail reports a mistake in a member. The text names the problem and a valid value.
func (o *Object) Fail(name, what string) {
	if *o.wrong != "" {
		*o.wrong += "; "
	}
	*o.wrong += o.at + name + ": " + what
}

func (o *Object) index(name string) int {
	for i := range o.members {
		if o.members[i].name == name {
			return i
		}
	}
	return -1
}

// value returns the raw value of a member, or an empty string if there is none.
func (o *Object) value(name string) string {
	i := o.index(name)
	if i < 0 {
		return ""
	}
	o.members[i].asked = true
	return o.members[i].value
}

// Has reports whether the object has the member.
func (o *Object) Has(name string) bool { return o.index(name) >= 0 }

// Need reports a mistake unless at least one of the members is present.
func (o *Object) Need(names ...string) {
	for _, name := range names {
		if o.Has(name) {
			return
		}
	}
	what := "is missing"
	if len(names) > 1 {
		what += "; want it, or " + strings.Join(names[1:], ", or ")
	}
	o.Fail(names[0], what)
}

// Text returns a string member.
func (o *Object) Text(name string) string {
	value := o.value(name)
	if value == "" {
		return ""
	}
	return o.text(name, value)
}

func (o *Object) text(place, value string) string {
	if !scan.IsText(value) {
		o.Fail(place, "is "+value+"; want a text")
		return ""
	}
	return scan.Text(value)
}

// OneOf returns a string member that must be one of the known ones; without the member it
// returns the first of them.
func (o *Object) OneOf(name string, known ...string) string {
	if !o.Has(name) {
		return known[0]
	}
	text := o.Text(name)
	for _, k := range known {
		if text == k {
			return k
		}
	}
	o.Fail(name, "is "+strconv.Quote(text)+"; want "+strings.Join(known, " or "))
	return known[0]
}

// Int returns a whole number, which must be at least least.
func (o *Object) Int(name string, least int64) int64 {
	value := o.value(name)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < least {
		o.Fail(name, "is "+value+"; want a whole number, "+strconv.FormatInt(least, 10)+" or more")
	}
	return n
}

// Bool returns true or false.
func (o *Object) Bool(name string) bool {
	value := o.value(name)
	if value != "" && value != "true" && value != "false" {
		o.Fail(name, "is "+value+"; want true or false")
	}
	return value == "true"
}

// Duration returns a duration such as "90s" or "1h30m", which must be at least least.
func (o *Object) Duration(name string, least time.Duration) time.Duration {
	if !o.Has(name) {
		return 0
	}
	text := o.Text(name)
	d, err := time.ParseDuration(text)
	if err != nil || d < least {
		o.Fail(name, "is "+strconv.Quote(text)+`; want a duration such as "90s" or "1h30m", `+least.String()+" or more")
	}
	return d
}

// Time returns an instant such as "2026-12-24T08:00:00Z".
func (o *Object) Time(name string) time.Time {
	if !o.Has(name) {
		return time.Time{}
	}
	text := o.Text(name)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		o.Fail(name, "is "+strconv.Quote(text)+`; want a time such as "2026-12-24T08:00:00Z" or "2026-12-24T09:00:00+01:00"`)
	}
	return at
}

// Texts returns a list of texts; nil if there is none, and not empty.
func (o *Object) Texts(name string) []string {
	value := o.value(name)
	if value == "" {
		return nil
	}
	var all []string
	for _, v := range o.elements(name, value) {
		text := o.text(v.place, v.value)
		if text == "" {
			o.Fail(v.place, "is empty; leave it out")
		}
		all = append(all, text)
	}
	if len(all) == 0 {
		o.Fail(name, "is empty; want one at least, or leave it out")
	}
	return all
}

// Objects calls f with each object of a list, which must be present.
func (o *Object) Objects(name string, f func(*Object)) {
	value := o.value(name)
	elements := o.elements(name, value)
	if len(elements) == 0 {
		o.Fail(name, "is missing or empty; want a list of objects")
	}
	for _, v := range elements {
		if !strings.HasPrefix(v.value, "{") {
			o.Fail(v.place, "is "+v.value+"; want an object")
			return
		}
		inner := &Object{at: o.at + v.place + ".", wrong: o.wrong}
		inner.read(v.value, f)
	}
}

// element is an element of a list, with its position for mistakes.
type element struct{ place, value string }

func (o *Object) elements(name, value string) (all []element) {
	if value != "" && value[0] != '[' {
		o.Fail(name, "is "+value+"; want a list")
	}
	for v := range scan.Elements(value) {
		all = append(all, element{name + "[" + strconv.Itoa(len(all)) + "]", v})
	}
	return all
}
