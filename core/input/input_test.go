package input

import (
	"errors"
	"strings"
	"testing"
)

func TestTextRefused(t *testing.T) {
	for text, problem := range map[string]string{
		strings.Repeat("é", 129): "is 258 bytes long",
		"line\nbreak":            "has the character U+000A",
		"bell\a":                 "has the character U+0007",
		"\xff":                   "is not valid UTF-8",
		"right\u202eto left":     "has the character U+202E",
	} {
		var wrong *Error
		if err := CheckText("holder", text, 256); !errors.As(err, &wrong) || wrong.Field != "holder" || wrong.Problem != problem || wrong.Want == "" {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestTextAccepted(t *testing.T) {
	for _, text := range []string{"", "ci-4711 (Größe 1) \ufffd", strings.Repeat("é", 128)} {
		if err := CheckText("holder", text, 256); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCharacterIsSpelledWithItsPosition(t *testing.T) {
	for text, want := range map[string]string{
		"%":      `the character '%' at byte 1`,
		"\x00":   `the character '\x00' at byte 1`,
		"\u200b": `the character U+200B at byte 1`,
		"ö":      `the character U+00F6 'ö' at byte 1`,
		"\xff":   `the byte \xff at byte 1`,
	} {
		if got := CharacterAt(text, 0); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
