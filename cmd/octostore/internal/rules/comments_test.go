package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// A reader of a package first reads what it is for, and of an exported name what it promises.
func TestPackagesAndExportedNamesHaveComments(t *testing.T) {
	for _, lacking := range uncommented(t, filepath.Join("..", "..", "..", "..")) {
		t.Error(lacking)
	}
}

// The check itself has to find every kind of omission.
func TestMissingCommentsAreFound(t *testing.T) {
	got := uncommented(t, filepath.Join("testdata", "uncommented"))
	want := []string{
		"bare: no file has a package comment",
		"bare/bare.go: Function has no comment",
		"bare/bare.go: Type has no comment",
		"bare/bare.go: Method has no comment",
		"bare/bare.go: Value has no comment",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// uncommented lists packages and exported names below root that lack a comment. Package main
// exports nothing. Folders that Go ignores, and test data below root, are left out.
func uncommented(t *testing.T, root string) (found []string) {
	t.Helper()
	described := map[string]bool{}
	var folders []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if _, seen := described[filepath.Dir(name)]; !seen {
			folders = append(folders, filepath.Dir(name))
		}
		described[filepath.Dir(name)] = described[filepath.Dir(name)] || file.Doc != nil
		if file.Name.Name == "main" {
			return nil
		}
		for _, decl := range file.Decls {
			for _, n := range silent(decl) {
				found = append(found, name+": "+n+" has no comment")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if !described[folder] {
			found = append([]string{folder + ": no file has a package comment"}, found...)
		}
	}
	return found
}

// silent returns the exported names of a declaration that have no comment of their own nor one
// of their group.
func silent(decl ast.Decl) (names []string) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && ofExportedType(d) && !obvious[d.Name.Name] {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					names = append(names, s.Name.Name)
				}
			case *ast.ValueSpec:
				for _, n := range s.Names {
					if n.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names
}

// obvious are the methods that promise what their interface in the standard library promises.
var obvious = map[string]bool{
	"Error": true, "Unwrap": true, "Is": true, "String": true, "MarshalJSON": true, "UnmarshalJSON": true,
	"MarshalText": true, "UnmarshalText": true, "LogValue": true, "Len": true, "Less": true, "Swap": true, "Read": true, "Write": true,
}

// ofExportedType says whether a function is one a user of the package can call by name.
func ofExportedType(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}
