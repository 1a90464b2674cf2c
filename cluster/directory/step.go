package directory

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// record is a message with its generated codec.
type record interface {
	MarshalVT() ([]byte, error)
	UnmarshalVT([]byte) error
}

// load reads the record of key into m; ok is false where there is none.
func load(r kv.Reader, key []byte, m record) (ok bool, err error) {
	value, ok, err := r.Get(key)
	if err != nil || !ok {
		return false, err
	}
	if err := m.UnmarshalVT(value); err != nil {
		return false, fmt.Errorf("read key %x: %w: %w", key, ErrCorrupt, err)
	}
	return true, nil
}

// loadNumber reads a big-endian number; a key that is not there is 0.
func loadNumber(r kv.Reader, key []byte) (uint64, error) {
	value, ok, err := r.Get(key)
	if err != nil || !ok {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("read key %x, a number of %d bytes: %w", key, len(value), ErrCorrupt)
	}
	return binary.BigEndian.Uint64(value), nil
}

func exists(r kv.Reader, key []byte) (bool, error) {
	_, ok, err := r.Get(key)
	return ok, err
}

// existsUnder reports whether any key starts with prefix.
func existsUnder(r kv.Reader, prefix []byte) (bool, error) {
	it, err := r.Scan(prefix, after(prefix))
	if err != nil {
		return false, err
	}
	found := it.First()
	if err := it.Error(); err != nil {
		it.Close()
		return false, err
	}
	return found, it.Close()
}

// step is the execution of one command: the state, and the proposer's clock in Unix milliseconds.
type step struct {
	kv.Batch
	now int64
}

func (s step) store(key []byte, m record) error {
	value, err := m.MarshalVT()
	if err != nil {
		return fmt.Errorf("encode the record of key %x: %w", key, err)
	}
	return s.Set(key, value)
}

func (s step) storeNumber(key []byte, n uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, n))
}

// ok is the result of an accepted command that has nothing to tell, unless err says otherwise.
func ok(err error) (*directorypb.Result, error) {
	if err != nil {
		return nil, err
	}
	return &directorypb.Result{}, nil
}

// checkAddress refuses what is not the canonical text of an address. It looks at octets only, so that
// it decides the same in every build; address.Parse did the rest before the command was proposed.
func checkAddress(text string) error {
	local, domain := splitText(text)
	if local == "" || len(text) > 320 || strings.ContainsFunc(text, isControl) {
		return refuse(ErrInvalid, "%q is no address", text)
	}
	if strings.HasPrefix(domain, "[") {
		return nil
	}
	return checkDomain(domain)
}

// checkDomain is checkAddress for the name of a domain.
func checkDomain(name string) error {
	if name == "" || len(name) > 253 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
		return refuse(ErrInvalid, "%q is no domain name in lower-case A-labels", name)
	}
	return nil
}

// checkName refuses ids and names that cannot stand in a line of text.
func checkName(what, name string) error {
	if name == "" || len(name) > 255 || strings.ContainsFunc(name, isControl) {
		return refuse(ErrInvalid, "%q is no %s", name, what)
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
