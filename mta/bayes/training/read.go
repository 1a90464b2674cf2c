package training

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/bayes/bayespb"
)

// Common is in the place of an account: the model of all accounts of a partition together.
const Common index.AccountID = 0

// Model reads what is known of a model beside its tokens; empty where there is none.
func Model(r kv.Reader, a index.AccountID) (*bayespb.ModelRecord, error) {
	rec := new(bayespb.ModelRecord)
	_, err := read(r, modelKey(nil, uint64(a)), rec)
	return rec, err
}

// Load reads a model whole. It costs what the model is large, up to MaxAccountTokens or MaxPartitionTokens keys.
func Load(r kv.Reader, a index.AccountID) (*bayes.Model, *bayespb.ModelRecord, error) {
	rec, err := Model(r, a)
	if err != nil {
		return nil, nil, err
	}
	b := bayes.NewBuilder(rec.Spam, rec.Ham, int(min(rec.Tokens, MaxPartitionTokens)))
	prefix := inAccount(nil, tableToken, uint64(a))
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, nil, fmt.Errorf("read the model of account %d: %w", a, err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		id, err := readToken(it.Key())
		if err != nil {
			return nil, nil, err
		}
		value, err := it.Value()
		if err != nil {
			return nil, nil, err
		}
		o, err := readObserved(value)
		if err != nil {
			return nil, nil, err
		}
		b.Add(id, o.Count)
	}
	if err := it.Error(); err != nil {
		return nil, nil, fmt.Errorf("read the model of account %d: %w", a, err)
	}
	return b.Model(), rec, nil
}

// Trained is a training that can be taken back.
type Trained struct {
	Key    bayes.Key
	Record *bayespb.TrainingRecord
}

// Trainings returns up to n trainings of an account whose numbers are above after, the oldest first.
func Trainings(r kv.Reader, a index.AccountID, after uint64, n int) (list []Trained, err error) {
	prefix := inAccount(nil, tableOrder, uint64(a))
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.SeekGE(orderKey(nil, uint64(a), after+1)); ok && len(list) < n; ok = it.Next() {
		key, err := it.Value()
		if err != nil {
			return nil, err
		}
		t := Trained{Record: new(bayespb.TrainingRecord)}
		if copy(t.Key[:], key) != bayes.KeySize {
			return nil, fmt.Errorf("training under %x: %w", it.Key(), ErrCorrupt)
		}
		there, err := read(r, trainingKey(nil, uint64(a), t.Key[:]), t.Record)
		if err != nil {
			return nil, err
		}
		if !there {
			return nil, fmt.Errorf("training %x is in the order alone: %w", t.Key, ErrCorrupt)
		}
		list = append(list, t)
	}
	return list, it.Error()
}

// first is the oldest training of an account that has one.
func first(r kv.Reader, account uint64) (number uint64, key []byte, err error) {
	list, err := Trainings(r, index.AccountID(account), 0, 1)
	if err != nil {
		return 0, nil, err
	}
	if len(list) == 0 {
		return 0, nil, fmt.Errorf("account %d remembers no training: %w", account, ErrCorrupt)
	}
	return list[0].Record.Number, list[0].Key[:], nil
}

// read reads the record under key, ok false where there is none.
func read(r kv.Reader, key []byte, m interface{ UnmarshalVT([]byte) error }) (ok bool, err error) {
	value, ok, err := r.Get(key)
	if err != nil || !ok {
		return false, err
	}
	if err := m.UnmarshalVT(value); err != nil {
		return false, fmt.Errorf("record under %x: %w: %w", key, err, ErrCorrupt)
	}
	return true, nil
}

func write(b kv.Writer, key []byte, rec interface{ MarshalVT() ([]byte, error) }) error {
	value, err := rec.MarshalVT()
	if err != nil {
		return fmt.Errorf("encode record under %x: %w", key, err)
	}
	return b.Set(key, value)
}
