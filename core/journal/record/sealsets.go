package record

import "github.com/octostore/octostore/core/lock"

// appendSets appends the policy sets that an event describes.
func appendSets(b []byte, e *lock.Event) []byte {
	if e.Loaded != nil {
		b = append(b, ',')
		b = appendSet(b, e.Loaded)
	}
	if e.Replaced != nil {
		b = append(b, `,"replaced":{`...)
		b = appendSet(b, e.Replaced)
		b = append(b, '}')
	}
	return b
}

func appendSet(b []byte, s *lock.PolicySet) []byte {
	b = append(b, `"policy_set":`...)
	b = appendString(b, s.ID)
	b = append(b, `,"policies":[`...)
	for i := range s.Policies {
		p := &s.Policies[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"policy":`...)
		b = appendString(b, p.Name)
		b = appendText(b, "digest", p.Digest)
		b = appendText(b, "mode", p.Mode)
		b = appendTexts(b, "hooks", p.Hooks)
		b = appendTexts(b, "match", p.Match)
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendTexts appends a list of strings, or nothing if it is empty.
func appendTexts(b []byte, member string, texts []string) []byte {
	for i, text := range texts {
		if i == 0 {
			b = append(b, ',', '"')
			b = append(b, member...)
			b = append(b, `":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendString(b, text)
	}
	if len(texts) == 0 {
		return b
	}
	return append(b, ']')
}
