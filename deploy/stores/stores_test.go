package stores

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ROOKERY_STORES", dir)
	if _, err := Find(Versitygw); !errors.Is(err, ErrNotBuilt) || !strings.Contains(err.Error(), "deploy/stores/install versitygw") {
		t.Errorf("nothing was built: %v", err)
	}
	// Where the script puts it.
	script, err := os.ReadFile("install")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []Kind{Versitygw, MinIO} {
		if !strings.Contains(string(script), "version="+kind.version()) {
			t.Errorf("the script builds another version of %s than %s", kind, kind.version())
		}
	}
	built := filepath.Join(dir, "versitygw-v1.8.0", "versitygw")
	if err := os.MkdirAll(filepath.Dir(built), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(built, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := Find(Versitygw); err != nil || path != built {
		t.Errorf("%q, error %v; want %s", path, err, built)
	}
}
