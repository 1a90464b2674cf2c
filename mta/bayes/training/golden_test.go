package training

import (
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/bayes/bayespb"
)

// TestGolden holds keys and values to their bytes for ever.
func TestGolden(t *testing.T) {
	tokens := Pack([]uint64{0x0102, 0x0304})
	for name, c := range map[string]struct {
		key  []byte
		want string
	}{
		"model":    {modelKey(nil, 0x0102), "500000000000000102"},
		"token":    {tokenKey(nil, 0x0102, 0x0304), "5100000000000001020000000000000304"},
		"training": {trainingKey(nil, 0x0102, key("m")), "5200000000000001026d202020202020202020202020202020"},
		"order":    {orderKey(nil, 0x0102, 5), "5300000000000001020000000000000005"},
		"observed": {observed{bayes.Count{Spam: 300, Ham: 2}, 20778}.append(nil), "ac0202aaa201"},
		"tokens":   {tokens, "00000000000001020000000000000304"},
		"model record": {encoded(t, &bayespb.ModelRecord{Spam: 1, Ham: 2, Tokens: 3, Version: 4, Remembered: 5, Last: 6, Day: 7, SharedDay: 8, SharedSpam: 9,
			SharedHam: 10, Epoch: 11}), "080110021803200428053006380740084809500a580b"},
		"training record": {encoded(t, &bayespb.TrainingRecord{Class: bayespb.Class_CLASS_HAM, Shared: true, At: 3, Number: 4, Tokens: []byte{5}, Epoch: 6}),
			"08021001180320042a01053006"},
		"command": {encoded(t, &bayespb.TrainCommand{Action: bayespb.Action_ACTION_LEARN, Account: 2, Key: []byte{3}, Class: bayespb.Class_CLASS_SPAM,
			Tokens: []byte{5}, SharedDay: 6, Implied: true}), "080110021a010320012a010530063801"},
		"result": {encoded(t, &bayespb.TrainResult{Changed: true, Was: bayespb.Class_CLASS_HAM, Shared: true, Refused: "x"}), "0801100218012201" + "78"},
	} {
		if got := hex.EncodeToString(c.key); got != c.want {
			t.Errorf("%s is %s, want %s", name, got, c.want)
		}
	}
}

func encoded(t *testing.T, m interface{ MarshalVT() ([]byte, error) }) []byte {
	t.Helper()
	b, err := m.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRefused: what is no valid command changes nothing.
func TestRefused(t *testing.T) {
	w := newWorld(t, limits{account: 10, partition: 10, remembered: 10})
	good := bayespb.TrainCommand{Action: bayespb.Action_ACTION_LEARN, Account: 1, Key: key("m"), Class: bayespb.Class_CLASS_SPAM, Tokens: Pack([]uint64{1, 2})}
	many := make([]uint64, bayes.MaxTokens+1)
	for i := range many {
		many[i] = uint64(i)
	}
	for name, change := range map[string]func(*bayespb.TrainCommand){
		"no action":           func(c *bayespb.TrainCommand) { c.Action = 0 },
		"an action to come":   func(c *bayespb.TrainCommand) { c.Action = 9 },
		"no account":          func(c *bayespb.TrainCommand) { c.Account = 0 },
		"a short key":         func(c *bayespb.TrainCommand) { c.Key = c.Key[1:] },
		"no class":            func(c *bayespb.TrainCommand) { c.Class = 0 },
		"a class to come":     func(c *bayespb.TrainCommand) { c.Class = 3 },
		"no tokens":           func(c *bayespb.TrainCommand) { c.Tokens = nil },
		"half a token":        func(c *bayespb.TrainCommand) { c.Tokens = c.Tokens[1:] },
		"too many tokens":     func(c *bayespb.TrainCommand) { c.Tokens = Pack(many) },
		"tokens out of order": func(c *bayespb.TrainCommand) { c.Tokens = Pack([]uint64{2, 1}) },
		"one token twice":     func(c *bayespb.TrainCommand) { c.Tokens = Pack([]uint64{1, 1}) },
	} {
		cmd := bayespb.TrainCommand{Action: good.Action, Account: good.Account, Key: good.Key, Class: good.Class, Tokens: slices.Clone(good.Tokens)}
		change(&cmd)
		if res := w.do(&cmd); res.Refused == "" || res.Changed {
			t.Errorf("%s: %v", name, res)
		}
	}
	if rec, err := Model(w.b, 1); err != nil || rec.Version != 0 {
		t.Errorf("learnt all the same: %v, %v", rec, err)
	}
	if res := w.do(&good); !res.Changed {
		t.Errorf("the good one: %v", res)
	}
	implied := bayespb.TrainCommand{Action: good.Action, Account: 1, Key: good.Key, Class: bayespb.Class_CLASS_HAM, Tokens: good.Tokens, Implied: true}
	if res := w.do(&implied); res.Changed || res.Was != bayespb.Class_CLASS_SPAM {
		t.Errorf("what is implied against what was said: %v", res)
	}
	_, err := w.m.Execute(nil, w.b, command.Command{Kind: command.Deliver})
	if !errors.Is(err, command.ErrKind) {
		t.Errorf("another's kind: %v", err)
	}
	out, err := w.m.Execute(mailbox.Begin(w.b, w.now), w.b, command.Command{Kind: command.Train, Payload: []byte{0xff}})
	res := new(bayespb.TrainResult)
	if err != nil || res.UnmarshalVT(out) != nil || res.Refused == "" {
		t.Errorf("no command at all: %v, %v", res, err)
	}
}

// FuzzReadObserved: a value is refused, or is what makes the same counts again.
func FuzzReadObserved(f *testing.F) {
	f.Add(observed{bayes.Count{Spam: 1, Ham: math.MaxUint32}, 20778}.append(nil))
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, value []byte) {
		o, err := readObserved(value)
		if err != nil {
			return
		}
		if again, err := readObserved(o.append(nil)); err != nil || again != o {
			t.Fatalf("%x is %v, and then %v, %v", value, o, again, err)
		}
	})
}
