package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/joho/godotenv"

	"github.com/octostore/octostore/core/files"
)

// DefaultEnvFile is read where no other file is named. It need not exist.
const DefaultEnvFile = ".env"

// Where a value can come from, besides a file.
const (
	FromDefault     = "default"
	FromEnvironment = "environment"
)

// Sources say where to look for settings.
type Sources struct {
	Environ []string // as os.Environ gives it
	EnvFile string   // has to exist; empty: DefaultEnvFile if that exists
}

// Loaded is a configuration and how it came about.
type Loaded struct {
	Config
	Values  []Value   // one for each setting, in the order of Settings
	Unknown []Unknown // variables that look like settings but are not
}

// Value is the value of one setting, with its source.
type Value struct {
	Setting
	Text   string // as it was written; of a secret only that there is one
	Source string // FromDefault, FromEnvironment, or the path of a file

	raw string // as it was written
}

// hidden stands for the text of a secret.
const hidden = "(hidden)"

// Unknown is a variable that looks like a setting but is not, a misspelt one
// perhaps. Its value is not kept: it may be a secret.
type Unknown struct {
	Name, Source string
}

// Load reads the configuration. Variables of the environment win over the file; an
// empty value counts as none. All invalid values are reported at once, as [Mistakes].
func Load(from Sources) (Loaded, error) {
	path := from.EnvFile
	if path == "" {
		path = DefaultEnvFile
	}
	file, err := readEnvFile(path)
	if errors.Is(err, fs.ErrNotExist) && from.EnvFile == "" {
		file, err = nil, nil
	}
	if err != nil {
		return Loaded{}, err
	}
	environment := env.ToMap(from.Environ)
	l := Loaded{
		Values:  values(environment, file, path),
		Unknown: append(unknown(environment, FromEnvironment), unknown(file, path)...),
	}
	if mistakes := l.parse(); len(mistakes) > 0 {
		return l, mistakes
	}
	return l, nil
}

// LargestEnvFile is the size up to which a .env file is read, in bytes.
const LargestEnvFile = 1 << 20

// readEnvFile returns the variables of a file. Its errors name a line and show
// nothing of it, since such files hold secrets.
func readEnvFile(path string) (map[string]string, error) {
	if path == os.DevNull {
		return nil, nil // the usual way to say that there is none
	}
	text, err := files.Read(path, LargestEnvFile)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(text), "\n")+"\n", "\n")
	for good := len(lines); good >= 0; good-- {
		variables, err := godotenv.Unmarshal(strings.Join(lines[:good], ""))
		if err != nil {
			continue
		}
		if good < len(lines) {
			return nil, fmt.Errorf("read settings: %s: line %d is not NAME=VALUE", path, good+1)
		}
		return variables, nil
	}
	return nil, nil // not reached: no lines are good lines
}

func values(environment, file map[string]string, path string) []Value {
	var all []Value
	for _, s := range Settings() {
		v := Value{Setting: s, Text: s.Default, Source: FromDefault}
		if text := file[s.Name]; text != "" {
			v.Text, v.Source = text, path
		}
		if text := environment[s.Name]; text != "" {
			v.Text, v.Source = text, FromEnvironment
		}
		v.raw = v.Text
		if v.Secret && v.Text != v.Default {
			v.Text = hidden
		}
		all = append(all, v)
	}
	return all
}

func unknown(variables map[string]string, source string) []Unknown {
	known := slices.Clone(clientVariables)
	for _, s := range Settings() {
		known = append(known, s.Name)
	}
	var found []Unknown
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if strings.HasPrefix(name, prefix) && !slices.Contains(known, name) {
			found = append(found, Unknown{name, source})
		}
	}
	return found
}

// parse fills in the Config from the Values.
func (l *Loaded) parse() Mistakes {
	texts := make(map[string]string, len(l.Values))
	for _, v := range l.Values {
		texts[v.Name] = v.raw
	}
	err := env.ParseWithOptions(&l.Config, env.Options{
		Environment: texts,
		FuncMap: map[reflect.Type]env.ParserFunc{
			reflect.TypeFor[time.Duration](): func(s string) (any, error) { return ParseDuration(s) },
			reflect.TypeFor[int]():           parseCount,
		},
	})
	wrong := unparsed(err)
	maps.Copy(wrong, outOfRange(l.Config, wrong))
	maps.Copy(wrong, notTogether(l.Config, wrong))

	var mistakes Mistakes
	for _, v := range l.Values {
		if problem, is := wrong[v.field]; is {
			mistakes = append(mistakes, Mistake{Value: v, Problem: problem})
		}
	}
	return mistakes
}

// unparsed returns what is wrong with each field that could not be parsed.
func unparsed(err error) map[string]string {
	wrong := map[string]string{}
	var all env.AggregateError
	if !errors.As(err, &all) {
		return wrong
	}
	for _, one := range all.Errors {
		var bad env.ParseError
		if !errors.As(one, &bad) {
			panic(fmt.Sprintf("config: the table of settings is broken: %v", one))
		}
		wrong[bad.Name] = bad.Err.Error()
	}
	return wrong
}
