package directory

import (
	"slices"
	"testing"
	"time"
)

func TestDurationSettings(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"queue_life", "5d", "5d"}, {"queue_life", "36h", "1d12h"}, {"queue_life", "90m30s", "1h30m30s"}, {"queue_life", "1m", ""},
		{"queue_life", "0", ""}, {"queue_life", "31d", ""}, {"queue_life", "99999999d", ""}, {"queue_life", "5", ""}, {"queue_life", "1h1d", ""},
		{"queue_life", "1h1h", ""}, {"queue_life", "d", ""}, {"queue_life", "-1h", ""}, {"queue_life", "1.5h", ""}, {"queue_life", "", ""},
		{"queue_notice", "0", "0"}, {"queue_notice", "240m", "4h"}, {"queue_notice", "1s", ""},
		{"queue_schedule", "120s  5m 1h", "2m 5m 1h"}, {"queue_schedule", "", ""}, {"queue_schedule", "5m x", ""}, {"queue_schedule", "0s", ""},
	} {
		if got, err := ParseSetting(c.name, c.text); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s of %q: %q, %v", c.name, c.text, got, err)
		}
	}
	var s Settings
	for _, d := range Definitions() {
		if _, err := d.parse(&s, d.Default); err != nil {
			t.Fatal(err)
		}
	}
	if s.QueueLife != 120*time.Hour || s.QueueNotice != 4*time.Hour || !slices.Equal(s.QueueSchedule[:2], []time.Duration{2 * time.Minute, 5 * time.Minute}) {
		t.Errorf("%v, %v, %v", s.QueueLife, s.QueueNotice, s.QueueSchedule)
	}
}
