package arc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta/dkim"
)

// validator validates one message.
type validator struct {
	lookup  Lookup
	message *dkim.Message
	keys    map[string]dkim.Record // that were looked up, by name
}

// chain says what is wrong with a chain.
func (v *validator) chain(ctx context.Context, sets []set) error {
	for i, s := range sets {
		want := Pass
		if i == 0 {
			want = None
		}
		if cv := s.seal.tags.Word("cv"); cv != string(want) {
			return fmt.Errorf("the seal of instance %d says %.10q of the chain before it", i+1, cv)
		}
		if _, ok := s.seal.tags.Get("h"); ok {
			return fmt.Errorf("the seal of instance %d names fields", i+1)
		}
	}
	if err := v.signature(ctx, sets[len(sets)-1].signature); err != nil {
		return fmt.Errorf("the message is not what instance %d signed: %w", len(sets), err)
	}
	for i := len(sets) - 1; i >= 0; i-- {
		if err := v.seal(ctx, sets[:i+1]); err != nil {
			return fmt.Errorf("the seal of instance %d: %w", i+1, err)
		}
	}
	return nil
}

// errTags says that a field lacks a tag or has one that cannot be.
var errTags = errors.New("tags that cannot be")

// signature checks a message signature (RFC 8617, section 4.1.2).
func (v *validator) signature(ctx context.Context, f field) error {
	if err := need(f.tags, "a", "b", "bh", "d", "h", "s"); err != nil {
		return err
	}
	if _, ok := f.tags.Get("l"); ok {
		return fmt.Errorf("a length of the body, behind which anything can be: %w", errTags)
	}
	header, body, ok := dkim.ParseForms(f.tags.Word("c"))
	if !ok {
		return fmt.Errorf("form %.20q: %w", f.tags.Word("c"), errTags)
	}
	names := f.tags.List("h")
	if slices.ContainsFunc(names, func(s string) bool { return strings.EqualFold(s, SealField) }) {
		return fmt.Errorf("a seal among its fields: %w", errTags)
	}
	want, err := f.tags.Octets("bh")
	if err != nil {
		return err
	}
	have := v.message.Digest(dkim.Need{Form: body, Length: dkim.All})
	if subtle.ConstantTimeCompare(want, have[:]) != 1 {
		return errors.New("the body was changed")
	}
	var covers []string
	for _, f := range v.message.Header.Pick(names) {
		covers = append(covers, f.Text)
	}
	key, err := v.key(ctx, f.tags)
	if err != nil {
		return err
	}
	return key.Verify(header, covers, f.text, f.tags)
}

// seal checks the seal of the last of some sets (RFC 8617, section 5.1.1).
func (v *validator) seal(ctx context.Context, sets []set) error {
	last := sets[len(sets)-1].seal
	if err := need(last.tags, "a", "b", "cv", "d", "s"); err != nil {
		return err
	}
	key, err := v.key(ctx, last.tags)
	if err != nil {
		return err
	}
	covers := sealed(sets)
	return key.Verify(dkim.Relaxed, covers[:len(covers)-1], last.text, last.tags)
}

// sealed lists the fields that the seal of the last set covers, itself last.
func sealed(sets []set) (covers []string) {
	for _, s := range sets {
		covers = append(covers, s.results.text, s.signature.text, s.seal.text)
	}
	return covers
}

// key looks up the key of a field.
func (v *validator) key(ctx context.Context, tags dkim.Tags) (dkim.Record, error) {
	name := host(tags)
	if r, ok := v.keys[name]; ok {
		return r, nil
	}
	texts, err := v.lookup(ctx, name)
	if err != nil {
		return dkim.Record{}, fmt.Errorf("look up %.100s: %w: %w", name, ErrTemporary, err)
	}
	if len(texts) != 1 {
		return dkim.Record{}, fmt.Errorf("%d records at %.100s: %w", len(texts), name, dkim.ErrKey)
	}
	r, err := dkim.ParseRecord(texts[0])
	if err != nil {
		return dkim.Record{}, fmt.Errorf("the record at %.100s: %w", name, err)
	}
	v.keys[name] = r
	return r, nil
}

func need(tags dkim.Tags, names ...string) error {
	for _, name := range names {
		if tags.Word(name) == "" {
			return fmt.Errorf("no %s=: %w", name, errTags)
		}
	}
	return nil
}
