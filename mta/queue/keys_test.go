package queue

import (
	"encoding/hex"
	"testing"
)

// TestGolden holds the keys to their bytes for ever, and reads them back.
func TestGolden(t *testing.T) {
	p := Place{0x0102030405060708, 0x0a0b0c0d}
	for name, c := range map[string]struct {
		key  []byte
		want string
	}{
		"entry":       {entryKey(nil, p.Entry), "300102030405060708"},
		"recipient":   {recipientKey(nil, p), "3101020304050607080a0b0c0d"},
		"agenda":      {agendaKey(nil, 0x1112, "a.b"), "320000000000001112612e62"},
		"destination": {destinationKey(nil, "a.b"), "33612e62"},
		"waiting":     {waitingKey(nil, "a.b", 0x1112, p), "34612e6200000000000000111201020304050607080a0b0c0d"},
		"claimed":     {claimedKey(nil, p), "3501020304050607080a0b0c0d"},
		"alarm":       {alarmKey(nil, 0x1112, p.Entry), "3600000000000011120102030405060708"},
		"control":     {controlKey(nil, controlTerm), "3702"},
	} {
		if got := hex.EncodeToString(c.key); got != c.want {
			t.Errorf("%s is %s, want %s", name, got, c.want)
		}
	}
	if at, name, err := readAgenda(agendaKey(nil, 5, "a.b")); at != 5 || name != "a.b" || err != nil {
		t.Error(at, name, err)
	}
	if due, q, err := readWaiting(waitingKey(nil, "a.b", 5, p)); due != 5 || q != p || err != nil {
		t.Error(due, q, err)
	}
	if at, e, err := readAlarm(alarmKey(nil, 5, p.Entry)); at != 5 || e != p.Entry || err != nil {
		t.Error(at, e, err)
	}
	if q, err := readPlace(claimedKey(nil, p)); q != p || err != nil {
		t.Error(q, err)
	}
}

// FuzzKeys: what reads keys takes any octets.
func FuzzKeys(f *testing.F) {
	f.Add(waitingKey(nil, "a.b", 5, Place{1, 2}))
	f.Fuzz(func(t *testing.T, key []byte) {
		_, _, _ = readAgenda(key)
		_, _, _ = readWaiting(key)
		_, _, _ = readAlarm(key)
		_, _ = readPlace(key)
	})
}
