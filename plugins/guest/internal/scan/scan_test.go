package scan

import (
	"encoding/json"
	"testing"
)

// FuzzScan compares with encoding/json whatever that takes for valid.
func FuzzScan(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `{"a":1,"b":[1,2,{"c":"}"}],"d":{"e":"\"]"}}`, ` { "a" : "x" , "b" : [ ] } `, `"a\n\u00e4\ud83d\ude00\\"`,
		`["\ud83d","\ud83dx","\ud83d\u0041","\udc00"]`, `[1.5e3,true,null,-0]`, `{"\u0061":1}`, "{\"a\":\"\xff\"}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want any
		if json.Unmarshal([]byte(s), &want) != nil {
			for range Members(s) { // it ends
			}
			for range Elements(s) {
			}
			return
		}
		compare(t, Space(s), want)
	})
}

func compare(t *testing.T, s string, want any) {
	switch want := want.(type) {
	case map[string]any:
		found := map[string]bool{}
		for name, value := range Members(s) {
			name = utf8Text(`"` + name + `"`)
			if _, there := want[name]; !there {
				t.Fatalf("%s: there is no member %q", s, name)
			}
			found[name] = true
			var each any // not want[name]: of two of a name encoding/json keeps one
			if err := json.Unmarshal([]byte(value), &each); err != nil {
				t.Fatalf("%s: the member %q is %s", s, name, value)
			}
			compare(t, value, each)
		}
		if len(found) != len(want) {
			t.Fatalf("%s: %d members, want %d", s, len(found), len(want))
		}
	case []any:
		n := 0
		for value := range Elements(s) {
			if n < len(want) {
				compare(t, value, want[n])
			}
			n++
		}
		if n != len(want) {
			t.Fatalf("%s: %d elements, want %d", s, n, len(want))
		}
	case string:
		if !IsText(s[:length(s)]) || utf8Text(s[:length(s)]) != want {
			t.Fatalf("%s: got %q, want %q", s, utf8Text(s[:length(s)]), want)
		}
	}
}

// utf8Text is a text as encoding/json has it, which replaces what is no UTF-8.
func utf8Text(value string) string {
	text := []rune(Text(value))
	return string(text)
}
