package node

import (
	"slices"
	"testing"
)

// TestForgettable: a key goes when nothing was under it twice in a row.
func TestForgettable(t *testing.T) {
	packs := map[string]int{"a": 2}
	unused, gone := forgettable([]string{"a", "b"}, packs, nil)
	if len(gone) > 0 || unused["a"] || !unused["b"] {
		t.Errorf("at first %v, gone %v", unused, gone)
	}
	packs["a"] = 0
	unused, gone = forgettable([]string{"a", "b"}, packs, unused)
	if !slices.Equal(gone, []string{"b"}) || !unused["a"] {
		t.Errorf("then %v, gone %v", unused, gone)
	}
	packs["a"] = 1 // begun meanwhile
	if unused, gone = forgettable([]string{"a"}, packs, unused); len(gone) > 0 || unused["a"] {
		t.Errorf("at last %v, gone %v", unused, gone)
	}
}
