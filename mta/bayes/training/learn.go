package training

import (
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta/bayes/bayespb"
)

// day in milliseconds.
const day = int64(24 * time.Hour / time.Millisecond)

// execution is one command being executed.
type execution struct {
	b       kv.Batch
	limits  limits
	now     int64
	version uint64
}

// model is an account's or, of account 0, the partition's.
type model struct {
	account uint64
	most    uint32 // tokens
	rec     bayespb.ModelRecord
}

func (x *execution) run(cmd *bayespb.TrainCommand, res *bayespb.TrainResult) error {
	own, err := x.load(cmd.Account)
	if err != nil {
		return err
	}
	if cmd.Action == bayespb.Action_ACTION_FORGET {
		res.Changed = own.rec.Version != 0
		return x.forget(own)
	}
	common, err := x.load(0)
	if err != nil {
		return err
	}
	old := new(bayespb.TrainingRecord)
	known, err := read(x.b, trainingKey(nil, cmd.Account, cmd.Key), old)
	if err != nil {
		return err
	}
	res.Was = old.Class
	switch {
	case cmd.Action == bayespb.Action_ACTION_RETRACT:
		if !known || cmd.Class != bayespb.Class_CLASS_NONE && cmd.Class != old.Class {
			return nil
		}
		err = x.takeBack(own, common, cmd.Key, old)
	case known && (old.Class == cmd.Class || cmd.Implied):
		return nil
	default:
		if known {
			err = x.takeBack(own, common, cmd.Key, old)
		}
		if err == nil {
			res.Shared, err = x.learn(own, common, cmd)
		}
	}
	if err != nil {
		return fmt.Errorf("train account %d: %w", cmd.Account, err)
	}
	res.Changed = true
	if err := x.put(own); err != nil {
		return err
	}
	if !res.Shared && (!known || !old.Shared) {
		return nil
	}
	return x.put(common)
}

func (x *execution) load(account uint64) (*model, error) {
	m := &model{account: account, most: x.limits.account}
	if account == 0 {
		m.most = x.limits.partition
	}
	_, err := read(x.b, modelKey(nil, account), &m.rec)
	return m, err
}

func (x *execution) put(m *model) error {
	m.rec.Version = x.version
	return write(x.b, modelKey(nil, m.account), &m.rec)
}

// learn adds a training, and reports whether the common model learnt too.
func (x *execution) learn(own, common *model, cmd *bayespb.TrainCommand) (shared bool, err error) {
	if x.now >= own.rec.Day+day || x.now < own.rec.Day {
		own.rec.Day, own.rec.SharedDay = x.now, 0
	}
	shared = own.rec.SharedDay < cmd.SharedDay
	ids := unpack(cmd.Tokens)
	if err := x.count(own, ids, cmd.Class); err != nil {
		return false, err
	}
	own.tally(cmd.Class, 1)
	t := &bayespb.TrainingRecord{Class: cmd.Class, Shared: shared, At: x.now, Number: own.rec.Last + 1, Tokens: cmd.Tokens}
	if shared {
		if err := x.count(common, ids, cmd.Class); err != nil {
			return false, err
		}
		common.tally(cmd.Class, 1)
		own.tallyShared(cmd.Class, 1)
		own.rec.SharedDay++
		t.Epoch = common.rec.Epoch
	}
	return shared, x.remember(own, cmd.Key, t)
}

// remember keeps a training, and lets go of the oldest where there are too many.
func (x *execution) remember(own *model, key []byte, t *bayespb.TrainingRecord) error {
	own.rec.Last = t.Number
	own.rec.Remembered++
	if err := write(x.b, trainingKey(nil, own.account, key), t); err != nil {
		return err
	}
	if err := x.b.Set(orderKey(nil, own.account, t.Number), key); err != nil {
		return err
	}
	if own.rec.Remembered <= x.limits.remembered {
		return nil
	}
	number, oldest, err := first(x.b, own.account)
	if err != nil {
		return err
	}
	return x.release(own, oldest, number)
}

// release forgets that a training was made. What was learnt stays.
func (x *execution) release(own *model, key []byte, number uint64) error {
	own.rec.Remembered--
	if err := x.b.Delete(trainingKey(nil, own.account, key)); err != nil {
		return err
	}
	return x.b.Delete(orderKey(nil, own.account, number))
}

// takeBack undoes a training.
func (x *execution) takeBack(own, common *model, key []byte, t *bayespb.TrainingRecord) error {
	ids := unpack(t.Tokens)
	if err := x.discount(own, ids, t.Class); err != nil {
		return err
	}
	own.tally(t.Class, -1)
	if t.Shared {
		own.tallyShared(t.Class, -1)
	}
	if t.Shared && t.Epoch == common.rec.Epoch {
		if err := x.discount(common, ids, t.Class); err != nil {
			return err
		}
		common.tally(t.Class, -1)
	}
	return x.release(own, key, t.Number)
}

func (m *model) tally(c bayespb.Class, n int) { add(c, n, &m.rec.Spam, &m.rec.Ham) }

func (m *model) tallyShared(c bayespb.Class, n int) { add(c, n, &m.rec.SharedSpam, &m.rec.SharedHam) }

// add changes the number of the class by 1 or -1.
func add(c bayespb.Class, n int, spam, ham *uint64) {
	at := ham
	if c == bayespb.Class_CLASS_SPAM {
		at = spam
	}
	if n > 0 || *at > 0 {
		*at += uint64(n)
	}
}

// forget drops a model with all that is remembered of it.
func (x *execution) forget(m *model) error {
	for _, table := range []byte{tableToken, tableTraining, tableOrder} {
		prefix := inAccount(nil, table, m.account)
		if err := x.b.DeleteRange(prefix, keys.After(nil, prefix)); err != nil {
			return fmt.Errorf("forget what is learnt for account %d: %w", m.account, err)
		}
	}
	if m.account != 0 {
		return x.b.Delete(modelKey(nil, m.account))
	}
	m.rec = bayespb.ModelRecord{Epoch: m.rec.Epoch + 1}
	return x.put(m)
}
