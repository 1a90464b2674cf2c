package directory

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/rookery-mail/rookery/cluster"
)

// KeyFormat is the version of the key schema in KEYS.md.
const KeyFormat = 1

// First bytes of the directory's keys; see KEYS.md.
const (
	keyCluster      byte = 0x10
	keySetting      byte = 0x11
	keyCounter      byte = 0x12
	keyDomain       byte = 0x20
	keyAccount      byte = 0x21
	keyAddress      byte = 0x22
	keyAlias        byte = 0x23
	keyAdmin        byte = 0x24
	keySharedBy     byte = 0x25
	keySharedWith   byte = 0x26
	keyNode         byte = 0x30
	keyJoinToken    byte = 0x31
	keyAPIToken     byte = 0x32
	keyPartitionMap byte = 0x33
	keyAnnotation   byte = 0x40
	keyMail         byte = 0x41
)

// Second bytes of counters.
const (
	counterAccount   byte = 0x01
	counterPartition byte = 0x02
)

func clusterKey() []byte      { return []byte{keyCluster} }
func partitionMapKey() []byte { return []byte{keyPartitionMap} }
func lastAccountKey() []byte  { return []byte{keyCounter, counterAccount} }

func partitionCountKey(g cluster.GroupID) []byte {
	return binary.BigEndian.AppendUint16([]byte{keyCounter, counterPartition}, uint16(g))
}

func settingKey(name string) []byte { return append([]byte{keySetting}, name...) }

func domainKey(name string) []byte { return append([]byte{keyDomain}, name...) }

func accountKey(id cluster.AccountID) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyAccount}, uint64(id))
}

func adminKey(id cluster.AccountID) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyAdmin}, uint64(id))
}

func nodeKey(id cluster.NodeID) []byte { return append([]byte{keyNode}, id...) }

func joinTokenKey(id []byte) []byte { return append([]byte{keyJoinToken}, id...) }

func annotationKey(entry string) []byte { return append([]byte{keyAnnotation}, entry...) }

func mailKey(kind MailKind, name string) []byte {
	return append([]byte{keyMail, byte(kind)}, name...)
}

func apiTokenKey(id []byte) []byte { return append([]byte{keyAPIToken}, id...) }

// addressKey is the key of an address in canonical text under keyAddress or keyAlias.
func addressKey(kind byte, text string) []byte {
	local, domain := splitText(text)
	return append(addressPrefix(kind, domain), local...)
}

// addressPrefix is what the keys of all addresses of a domain start with.
func addressPrefix(kind byte, domain string) []byte {
	key := make([]byte, 0, len(domain)+2+64)
	key = append(key, kind)
	key = append(key, domain...)
	return append(key, 0)
}

// splitText parts an address in canonical text. A domain holds no @, so it is the last one.
func splitText(text string) (local, domain string) {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text, ""
	}
	return text[:at], text[at+1:]
}

// after is the first key behind all that start with prefix, whose first byte is below 0xff.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	end[len(end)-1]++
	return end
}
