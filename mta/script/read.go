package script

import (
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta/script/scriptpb"
)

// Script is one of an account's.
type Script struct {
	Name    string
	Text    []byte
	Changed time.Time
	Active  bool
}

// read decodes the record under a key and reports whether there is one.
func read(r kv.Reader, key []byte, rec interface{ UnmarshalVT([]byte) error }) (bool, error) {
	value, ok, err := r.Get(key)
	if err != nil || !ok {
		return false, err
	}
	if err := rec.UnmarshalVT(value); err != nil {
		return false, fmt.Errorf("key %x: %w: %w", key, err, ErrCorrupt)
	}
	return true, nil
}

// Summary says which script of an account is active, how many there are and how large: all zero where there is none. Its Revision
// changes with each change.
func Summary(r kv.Reader, a index.AccountID) (*scriptpb.ScriptsRecord, error) {
	rec := new(scriptpb.ScriptsRecord)
	_, err := read(r, summaryKey(nil, a), rec)
	return rec, err
}

// Load returns a script of an account: ErrNoScript.
func Load(r kv.Reader, a index.AccountID, name string) (Script, error) {
	rec := new(scriptpb.ScriptRecord)
	ok, err := read(r, scriptKey(nil, a, name), rec)
	if err != nil {
		return Script{}, err
	}
	if !ok {
		return Script{}, ErrNoScript
	}
	return Script{Name: name, Text: rec.Text, Changed: time.UnixMilli(rec.Changed)}, nil
}

// List returns an account's scripts by name.
func List(r kv.Reader, a index.AccountID) (list []Script, err error) {
	all, err := Summary(r, a)
	if err != nil || all.Scripts == 0 {
		return nil, err
	}
	prefix := scriptKey(nil, a, "")
	err = each(r, prefix, func(key, value []byte) error {
		_, name, err := readScriptKey(key)
		if err != nil {
			return err
		}
		rec := new(scriptpb.ScriptRecord)
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("key %x: %w: %w", key, err, ErrCorrupt)
		}
		list = append(list, Script{Name: name, Text: rec.Text, Changed: time.UnixMilli(rec.Changed), Active: name == all.Active})
		return nil
	})
	return list, err
}

// each calls fn for the keys with a prefix.
func each(r kv.Reader, prefix []byte, fn func(key, value []byte) error) error {
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			return err
		}
		if err := fn(it.Key(), value); err != nil {
			return err
		}
	}
	return it.Error()
}

// Verify checks what KEYS.md says holds between the keys. It reads all of them.
func Verify(r kv.Reader) error {
	found := map[index.AccountID]*scriptpb.ScriptsRecord{}
	err := each(r, []byte{tableScripts, keptScript}, func(key, value []byte) error {
		a, name, err := readScriptKey(key)
		if err == nil {
			err = CheckName(name)
		}
		rec := new(scriptpb.ScriptRecord)
		if err == nil {
			err = rec.UnmarshalVT(value)
		}
		if err != nil {
			return fmt.Errorf("key %x: %w: %w", key, err, ErrCorrupt)
		}
		if found[a] == nil {
			found[a] = new(scriptpb.ScriptsRecord)
		}
		found[a].Scripts++
		found[a].Octets += uint64(len(rec.Text))
		return nil
	})
	if err != nil {
		return err
	}
	err = each(r, []byte{tableScripts, keptSummary}, func(key, _ []byte) error {
		a, err := readSummaryKey(key)
		if err != nil {
			return err
		}
		says, err := Summary(r, a)
		if err != nil {
			return err
		}
		is := found[a]
		delete(found, a)
		if is == nil || is.Scripts != says.Scripts || is.Octets != says.Octets {
			return fmt.Errorf("account %d has scripts %v, and says %v: %w", a, is, says, ErrCorrupt)
		}
		if says.Active == "" {
			return nil
		}
		if _, err := Load(r, a, says.Active); err != nil {
			return fmt.Errorf("account %d, active script: %w: %w", a, err, ErrCorrupt)
		}
		return nil
	})
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("%d accounts have scripts and no record of them: %w", len(found), ErrCorrupt)
	}
	return err
}
