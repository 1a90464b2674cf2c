package pack

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/rookery-mail/rookery/blobstore"
)

func known(err error) bool {
	return errors.Is(err, blobstore.ErrDamaged) || errors.Is(err, blobstore.ErrFormat) || errors.Is(err, blobstore.ErrNoKey)
}

func FuzzHeader(f *testing.F) {
	for _, sealed := range []bool{false, true} {
		f.Add(appendHeader(nil, newSample(sealed).pack))
	}
	f.Add([]byte(headerMagic))
	f.Fuzz(func(t *testing.T, octets []byte) {
		p, n, err := ReadHeader(octets)
		if err != nil {
			if !known(err) {
				t.Error(err)
			}
			return
		}
		if again := appendHeader(nil, p); !bytes.Equal(again, octets[:n]) {
			t.Errorf("%x came back as %x", octets[:n], again)
		}
	})
}

func FuzzFooter(f *testing.F) {
	f.Add(Footer{Manifest: 100, Length: 50, Unpacked: 60}.append(nil), int64(150+FooterSize))
	f.Add([]byte(footerMagic), int64(0))
	f.Fuzz(func(t *testing.T, tail []byte, size int64) {
		footer, err := ReadFooter(tail, size)
		if err != nil {
			if !known(err) {
				t.Error(err)
			}
			return
		}
		if !bytes.HasSuffix(tail, footer.append(nil)) || footer.Manifest+int64(footer.Length+FooterSize) != size {
			t.Errorf("%+v of %x, %d", footer, tail, size)
		}
	})
}

func FuzzManifest(f *testing.F) {
	s := newSample(false)
	s.write(f)
	f.Add(encodeManifest(s.manifest, 44))
	f.Add([]byte{columnIDs, 1, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := decodeManifest(raw, 44)
		if err != nil {
			if !known(err) {
				t.Error(err)
			}
			return
		}
		again, err := decodeManifest(encodeManifest(m, 44), 44)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%+v came back as %+v, %v", m, again, err)
		}
	})
}

func FuzzChunk(f *testing.F) {
	s := newSample(true)
	p := s.pack
	f.Add(appendChunk(nil, p.ID, 1000, []byte("frame"), nil), int64(1000), false)
	f.Add(appendChunk(nil, p.ID, 1000, []byte("frame"), s.key), int64(1000), true)
	f.Add([]byte{}, int64(0), false)
	f.Fuzz(func(t *testing.T, chunk []byte, offset int64, sealed bool) {
		var key *Key
		if sealed {
			key = s.key
		}
		frame, err := Open(chunk, blobstore.Ref{Pack: &p, Offset: offset, Length: len(chunk)}, key)
		if err != nil {
			if !known(err) {
				t.Error(err)
			}
			return
		}
		if !bytes.Equal(appendChunk(nil, p.ID, offset, frame, key), chunk) {
			t.Errorf("%x at %d is not the chunk of %x", chunk, offset, frame)
		}
	})
}

// FuzzPack reads and verifies whole objects.
func FuzzPack(f *testing.F) {
	s := newSample(true)
	for _, sealed := range []bool{false, true} {
		octets, _ := newSample(sealed).write(f)
		f.Add(octets)
	}
	f.Fuzz(func(t *testing.T, octets []byte) {
		c, err := Read(bytes.NewReader(octets), int64(len(octets)), s.keys)
		if err == nil {
			_, err = c.Verify(bytes.NewReader(octets), nil)
		}
		if err != nil && !known(err) {
			t.Error(err)
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add(FormatKeys([]ClusterKey{{ID: blobstore.KeyID{1}}}))
	f.Add([]byte("# nothing\n\n" + keyWord + " 00 00 00\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := ReadKeys(text)
		if err != nil {
			if !known(err) {
				t.Error(err)
			}
			return
		}
		if again, err := ReadKeys(FormatKeys(keys)); err != nil || !reflect.DeepEqual(again, keys) {
			t.Errorf("%v, %v", again, err)
		}
	})
}
