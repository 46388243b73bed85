package strict

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// rule has one member of each type.
type rule struct {
	text, choice string
	n            int64
	yes          bool
	d            time.Duration
	at           time.Time
	texts, names []string
}

func readRules(config string) (rules []rule, err error) {
	err = Read([]byte(config), func(o *Object) {
		o.Objects("rules", func(o *Object) {
			o.Need("text", "n")
			rules = append(rules, rule{
				o.Text("text"), o.OneOf("choice", "cap", "deny"), o.Int("n", 1), o.Bool("yes"),
				o.Duration("d", time.Second), o.Time("at"), o.Texts("texts"), o.Names("names"),
			})
		})
	})
	return rules, err
}

func TestReadHasEveryType(t *testing.T) {
	rules, err := readRules(` { "rules" : [ {"text":"a \"b\"","choice":"deny","n":7,"yes":true,"d":"90s","at":"2026-01-01T01:00:00+01:00",
		"texts":["x","y,z"],"names":["prod/**","!prod/a*"]}, {"n":1} ] }`)
	if err != nil || len(rules) != 2 {
		t.Fatal(rules, err)
	}
	want := rule{
		`a "b"`, "deny", 7, true, 90 * time.Second, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		[]string{"x", "y,z"}, []string{"prod/**", "!prod/a*"},
	}
	rules[0].at = rules[0].at.UTC()
	if !reflect.DeepEqual(rules[0], want) {
		t.Errorf("got  %+v\nwant %+v", rules[0], want)
	}
	if r := rules[1]; r.choice != "cap" || r.texts != nil || r.names != nil || r.d != 0 || !r.at.IsZero() {
		t.Errorf("%+v", r)
	}
}

// A mistake names the member, what is wrong with it, and what would be right.
func TestReadNamesEveryMistake(t *testing.T) {
	for config, want := range map[string]string{
		`7`:                             `config: is 7; want an object`,
		`null`:                          `config: is null; want an object`,
		`{}`:                            `rules: is missing or empty; want a list of objects`,
		`{"rules":{}}`:                  `rules: is {}; want a list`,
		`{"rules":[7]}`:                 `rules[0]: is 7; want an object`,
		`{"rules":[{}]}`:                `rules[0].text: is missing; want it, or n`,
		`{"rule":[]}`:                   `rule: is not known`,
		`{"rules":[],"a":1,"rules":[]}`: `rules: is there twice`,
	} {
		mistake(t, config, want)
	}
	for member, want := range map[string]string{
		`"colour":"x"`:                    `colour: is not known`,
		`"\u0063olour":"x"`:               `colour: is not known`,
		`"text":7`:                        `text: is 7; want a text`,
		`"choice":"on"`:                   `choice: is "on"; want cap or deny`,
		`"n":0`:                           `n: is 0; want a whole number, 1 or more`,
		`"n":1.5`:                         `n: is 1.5; want a whole number, 1 or more`,
		`"yes":"true"`:                    `yes: is "true"; want true or false`,
		`"d":"5"`:                         `d: is "5"; want a duration such as "90s" or "1h30m", 1s or more`,
		`"d":"1ms"`:                       `d: is "1ms"`,
		`"d":-1`:                          `d: is -1; want a text`,
		`"at":"tomorrow"`:                 `at: is "tomorrow"; want a time such as`,
		`"texts":"x"`:                     `texts: is "x"; want a list`,
		`"texts":[]`:                      `texts: is empty; want one at least`,
		`"texts":["x",""]`:                `texts[1]: is empty`,
		`"texts":["x",2]`:                 `texts[1]: is 2; want a text`,
		`"names":["/a"]`:                  `names[0]: "/a" has an empty segment`,
		`"names":["a**"]`:                 `names[0]: "a**" has "**" beside other characters`,
		`"names":["a","b c"]`:             `names[1]: "b c" can match no name`,
		`"names":["!a"]`:                  `names: has no pattern that includes anything`,
		`"names":["**/a/**/b/**/c/**"]`:   `names[0]: "**/a/**/b/**/c/**" has "**" more than 3 times`,
		`"text":"x","text":"y"`:           `text: is there twice`,
		`"text":7,"d":"x","nothing":true`: `nothing: is not known`,
	} {
		mistake(t, `{"rules":[{"n":1},{`+member+`}]}`, "rules[1]."+want)
	}
}

func mistake(t *testing.T, config, want string) {
	t.Helper()
	if _, err := readRules(config); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, want %q in it", config, err, want)
	}
}
