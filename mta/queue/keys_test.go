package queue

import (
	"encoding/hex"
	"testing"

	"github.com/rookery-mail/rookery/mta/queue/queuepb"
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
		"waiting":     {waitingKey(nil, "a.b", rankOf(-9), 0x1112, p), "34612e620012000000000000111201020304050607080a0b0c0d"},
		"claimed":     {claimedKey(nil, p), "3501020304050607080a0b0c0d"},
		"alarm":       {alarmKey(nil, 0x1112, p.Entry), "3600000000000011120102030405060708"},
		"control":     {controlKey(nil, controlTerm), "3702"},
		"conduct":     {conductKey(nil, 0x0102), "38000000000000000102"},
		"unnoticed":   {unnoticedKey(nil, 0x0102), "38010000000000000102"},
		"acquainted":  {acquaintanceKey(nil, 0x0102, addressHash("Ada@Example.org")), "390000000000000102cfe00dde46ef9426"},
		"remembered":  {rememberedKey(nil, 0x0102, []byte("0123456789abcdef")), "3c000000000000010230313233343536373839616263646566"},
		"forget":      {forgetKey(nil, 5, 0x0102, []byte("0123456789abcdef")), "3d0000000000000005000000000000010230313233343536373839616263646566"},
	} {
		if got := hex.EncodeToString(c.key); got != c.want {
			t.Errorf("%s is %s, want %s", name, got, c.want)
		}
	}
	if at, name, err := readAgenda(agendaKey(nil, 5, "a.b")); at != 5 || name != "a.b" || err != nil {
		t.Error(at, name, err)
	}
	if due, q, err := readWaiting(waitingKey(nil, "a.b", 9, 5, p)); due != 5 || q != p || err != nil {
		t.Error(due, q, err)
	}
	if at, e, err := readAlarm(alarmKey(nil, 5, p.Entry)); at != 5 || e != p.Entry || err != nil {
		t.Error(at, e, err)
	}
	if account, err := readConductKey(unnoticedKey(nil, 5)); account != 5 || err != nil {
		t.Error(account, err)
	}
	if account, key, err := readRemembered(rememberedKey(nil, 5, []byte("0123456789abcdef"))); account != 5 || string(key) != "0123456789abcdef" || err != nil {
		t.Error(account, key, err)
	}
	if until, account, key, err := readForget(forgetKey(nil, 9, 5, []byte("0123456789abcdef"))); until != 9 || account != 5 || string(key) != "0123456789abcdef" || err != nil {
		t.Error(until, account, key, err)
	}
	if q, err := readPlace(claimedKey(nil, p)); q != p || err != nil {
		t.Error(q, err)
	}
}

// TestGoldenConduct holds the records of conduct, and the command that edits it, to their bytes for ever.
func TestGoldenConduct(t *testing.T) {
	brakes := &queuepb.Brakes{MessagesHour: 1, RecipientsDay: 2, StrangersDay: 3, RejectionsDay: 4, Hold: true}
	for name, c := range map[string]struct {
		m    record
		want string
	}{
		"record": {&queuepb.ConductRecord{Hour: 1, Messages: 2, Day: 3, Recipients: 4, Strangers: 5, Rejections: 6, HeldSince: 7, HeldWhy: "x",
			Noticed: 8, Brakes: brakes, Acquaintances: 9, HeldMessages: 10}, "08011002180320042805300638074201784808520a080110021803200428015809600a"},
		"acquaintance": {&queuepb.AcquaintanceRecord{Last: 300}, "08ac02"},
		"edit":         {&queuepb.EditConductCommand{Account: 7, Hold: true, Why: "x", Noticed: true, HeldSince: 300, Forget: true}, "080710011a0178200128ac023001"},
		"caused": {&queuepb.SubmitCommand{Entries: []*queuepb.NewEntry{{Account: 7}}, Notes: []*queuepb.Note{{Account: 7, Key: []byte("k"), Until: 300}},
			Answers: []*queuepb.Answer{{Account: 7, Key: []byte("k"), Until: 300, Submit: &queuepb.SubmitCommand{Entry: &queuepb.NewEntry{Account: 7}}}}},
			"220208072a0e080712016b18ac02220412020807320808071201" + "6b18ac02"},
		"refusal": {&queuepb.Refusal{What: "x", Until: 300}, "0a017810ac02"},
	} {
		got, err := c.m.MarshalVT()
		if text := hex.EncodeToString(got); err != nil || text != c.want {
			t.Errorf("%s is %s, want %s (%v)", name, text, c.want, err)
		}
	}
}

// FuzzKeys: what reads keys takes any octets.
func FuzzKeys(f *testing.F) {
	f.Add(waitingKey(nil, "a.b", 9, 5, Place{1, 2}))
	f.Fuzz(func(t *testing.T, key []byte) {
		_, _, _ = readAgenda(key)
		_, _, _ = readWaiting(key)
		_, _, _ = readAlarm(key)
		_, _ = readPlace(key)
		_, _ = readConductKey(key)
		_, _, _ = readRemembered(key)
		_, _, _, _ = readForget(key)
	})
}
