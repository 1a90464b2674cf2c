package main

import (
	"testing"

	"github.com/rookery-mail/rookery/mta/sieve"
)

// TestVacationScript: what is made is a correct script, whatever the words.
func TestVacationScript(t *testing.T) {
	for _, c := range [][4]string{{"Back on Monday.", "", "", ""}, {"a \"b\" \\ c\nd\r\ne", "A \"s\"", "2026-11-28", "2026-12-01"}, {"x", "", "", "2026-12-01"}} {
		text, err := vacationScript(c[0], c[1], c[2], c[3])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sieve.Compile([]byte(text), sieve.Limits{}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := vacationScript("x", "", "tomorrow", ""); err == nil {
		t.Error("a day that is none")
	}
}
