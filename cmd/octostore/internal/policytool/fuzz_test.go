package policytool

import "testing"

// Whatever stands in a fixture, it is read or refused, and what is read can be asked.
func FuzzFixture(f *testing.F) {
	f.Add(`{"cases":[{"name":"x","request":{"lock":{"name":"a","held":true,"holder":"h"},"queue":{"length":1}},"expect":{"verdict":"deny","notes":{"k":"v"}}}]}`)
	f.Add(`{"config":{"a":[1]},"load_error":"no"}`)
	f.Add(`{"cases":[{"name":"x","event":{"seq":1},"expect":{"verdict":"done"}}]}`)
	f.Add(`{"cases":null,"load_error":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		fixture, err := parseFixture([]byte(text))
		if err != nil {
			return
		}
		if (len(fixture.Cases) > 0) == (fixture.LoadError != "") {
			t.Errorf("it has %d cases, and the load error %q", len(fixture.Cases), fixture.LoadError)
		}
		for _, e := range fixture.Cases {
			if e.Case.Event == nil && (e.Case.Asked.Name == "" || e.Case.Asked.TTL < 0 || e.Case.Held("") < 0) {
				t.Errorf("%+v", e.Case)
			}
		}
	})
}
