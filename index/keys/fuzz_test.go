package keys

import (
	"bytes"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/index"
)

// FuzzReadKeys gives outside bytes to every decoder of keys and fixed values: each refuses them or
// reads what makes the same bytes again.
func FuzzReadKeys(f *testing.F) {
	f.Add(Account(nil, 7))
	f.Add(Mailbox(nil, 7, 8))
	f.Add(Name(nil, 7, "INBOX"))
	f.Add(Sequenced(nil, TableChange, 7, 8, 9, 10))
	f.Add(Body(nil, 5))
	f.Add(Message(nil, TableSummary, 7, 8, 9))
	f.Add(User(nil, 5, 7, 8, 9))
	f.Add(Pack(nil, 5))
	f.Add(DedupExpiry(nil, time.UnixMilli(5), 7, []byte("0123456789abcdef")))
	f.Add(Annotation(nil, 7, 8, 9, "/private/comment"))
	f.Add(EncodeUint64(nil, 5))
	f.Add(EncodeID(nil, 5))
	f.Fuzz(func(t *testing.T, key []byte) {
		same := func(what string, err error, again func() []byte) {
			if err == nil && !bytes.Equal(again(), key) {
				t.Fatalf("%s %x comes back as %x", what, key, again())
			}
		}
		table := Table(append(key, 0)[0])
		a, err := ReadAccount(key)
		same("account", err, func() []byte { return account(nil, table, a) })
		a, m, err := ReadMailbox(key)
		same("mailbox", err, func() []byte { return InMailbox(nil, table, a, m) })
		id, err := ReadBody(key)
		if err == nil && !bytes.HasPrefix(key[1:], EncodeUint64(nil, uint64(id))) { // a chunk's key goes on
			t.Fatalf("body %x: %d", key, id)
		}
		a, m, uid, err := ReadMessage(key)
		same("message", err, func() []byte { return Message(nil, table, a, m, uid) })
		b, a, m, uid, err := ReadUser(key)
		same("user", err, func() []byte { return append([]byte{byte(table)}, User(nil, b, a, m, uid)[1:]...) })
		pack, err := ReadPack(key)
		same("pack", err, func() []byte { return append([]byte{byte(table)}, Pack(nil, pack)[1:]...) })
		_, a, dedup, err := ReadDedupExpiry(key)
		if err == nil && (a == 0 && !bytes.Equal(key[9:17], make([]byte, 8)) || len(dedup) != DedupKeySize) {
			t.Fatalf("expiry %x: %d, %x", key, a, dedup)
		}
		v, err := DecodeUint64(key)
		same("counter", err, func() []byte { return EncodeUint64(nil, v) })
		m, err = DecodeID(key)
		same("id", err, func() []byte { return EncodeID(nil, m) })
		if s, u, err := ReadSequenced(key); err == nil && !bytes.HasSuffix(Sequenced(nil, table, 0, 0, s, u), key[13:]) {
			t.Fatalf("sequenced %x: %d, %d", key, s, u)
		}
		if _, user, entry, err := ReadAnnotation(key); err == nil && !bytes.Equal(append(key[:MailboxPrefix:MailboxPrefix], AnnotationsOf(nil, 0, 0, user)[MailboxPrefix:]...), key[:MailboxPrefix+8]) {
			t.Fatalf("annotation %x: %d, %q", key, user, entry)
		}
		if name, err := ReadName(key); err == nil && name != string(key[9:]) {
			t.Fatalf("name %x: %q", key, name)
		}
		if u, err := LastField(key); err == nil && !bytes.HasSuffix(key, EncodeID(nil, index.MailboxID(u))) {
			t.Fatalf("last field %x: %d", key, u)
		}
	})
}
