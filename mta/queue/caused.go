package queue

import (
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// maxCaused bounds the entries, the answers and the notes of a submission, each.
const maxCaused = 1000

// checkCaused says what is wrong with what a message causes.
func checkCaused(cmd *queuepb.SubmitCommand) error {
	if cmd.Entry == nil && len(cmd.Entries) > 0 {
		return errors.New("more entries without a first")
	}
	if max(len(cmd.Entries), len(cmd.Answers), len(cmd.Notes)) > maxCaused {
		return fmt.Errorf("%d entries, %d answers, %d notes: at most %d each", len(cmd.Entries), len(cmd.Answers), len(cmd.Notes), maxCaused)
	}
	for _, a := range cmd.Answers {
		if err := checkRemembered(a.GetAccount(), a.GetKey(), a.GetUntil()); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		switch s := a.Submit; {
		case s == nil:
			return errors.New("an answer without a message")
		case len(s.Answers) > 0 || len(s.Notes) > 0:
			return errors.New("an answer that has answers of its own")
		case s.Entry.GetBrakes() != nil:
			return errors.New("an answer under brakes")
		}
		if err := check(a.Submit); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	for _, n := range cmd.Notes {
		if err := checkRemembered(n.GetAccount(), n.GetKey(), n.GetUntil()); err != nil {
			return fmt.Errorf("note: %w", err)
		}
	}
	return nil
}

func checkRemembered(account uint64, key []byte, until int64) error {
	if account == 0 || len(key) != keys.DedupKeySize || until <= 0 {
		return fmt.Errorf("account %d, a key of %d bytes, until %d", account, len(key), until)
	}
	return nil
}

// consequences does what a message causes that was just delivered.
func (q *machine) consequences(cmd *queuepb.SubmitCommand, mail *indexpb.Result) error {
	if mail.Code != indexpb.Code_CODE_OK {
		return nil
	}
	without := map[uint64]bool{} // accounts that did not take it: it comes again, and is to find all as it was
	for i, t := range mail.Targets {
		if t.Code != indexpb.Code_CODE_OK && t.Code != indexpb.Code_CODE_DUPLICATE {
			without[cmd.Deliver.Targets[i].GetAccount()] = true
		}
	}
	for _, a := range cmd.Answers {
		if without[a.Account] {
			continue
		}
		if err := q.answer(a); err != nil {
			return err
		}
	}
	for _, n := range cmd.Notes {
		if without[n.Account] {
			continue
		}
		if err := q.remember(n.Account, n.Key, n.Until); err != nil {
			return err
		}
	}
	return nil
}

// answer sends an answer, where none was sent under its key.
func (q *machine) answer(a *queuepb.Answer) error {
	known, err := Remembered(q.b, a.Account, a.Key, q.now)
	if err != nil || known {
		return err
	}
	res, err := q.submit(a.Submit)
	if err != nil {
		return fmt.Errorf("answer of account %d: %w", a.Account, err)
	}
	if res.Mail.Code != indexpb.Code_CODE_OK {
		return nil
	}
	return q.remember(a.Account, a.Key, a.Until)
}
