package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/rookery-mail/rookery/blobstore/object"
)

// Put implements object.Bucket. Whatever is sent has its SHA-256 in the signed head of the request, so that
// the store refuses octets that changed on their way; r is read twice for that.
func (b *Bucket) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	if err := object.CheckPut(name, size); err != nil {
		return err
	}
	var err error
	if size <= b.config.SinglePut {
		err = b.putWhole(ctx, name, r, size)
	} else {
		err = b.putParts(ctx, name, r, size)
	}
	if err != nil {
		return b.failed(ctx, "put "+name, err)
	}
	return nil
}

func (b *Bucket) putWhole(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	s := &section{r: r, size: size}
	sum, err := s.sum(true)
	if err != nil {
		return err
	}
	// Without DisableContentSha256 the client would sign a stream of chunks over http.
	_, err = b.client.PutObject(ctx, b.config.Bucket, b.name(name), s, size, "", sum, minio.PutObjectOptions{DisableContentSha256: true})
	return err
}

// putParts makes an object of parts, one after the other; no part is held in memory. Parts of an upload
// that fails are deleted.
func (b *Bucket) putParts(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	key := b.name(name)
	id, err := b.client.NewMultipartUpload(ctx, b.config.Bucket, key, minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	parts, err := b.sendParts(ctx, key, id, r, size)
	if err == nil {
		_, err = b.client.CompleteMultipartUpload(ctx, b.config.Bucket, key, id, parts, minio.PutObjectOptions{})
	}
	if err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(b.config.Timeout, 10*time.Second))
		defer cancel()
		// Where this fails too, a rule of the bucket deletes the parts (docs/operate.md).
		_ = b.client.AbortMultipartUpload(clean, b.config.Bucket, key, id)
	}
	return err
}

func (b *Bucket) sendParts(ctx context.Context, key, id string, r io.ReadSeeker, size int64) (parts []minio.CompletePart, err error) {
	for at := int64(0); at < size; at += b.config.PartSize {
		s := &section{r: r, base: at, size: min(b.config.PartSize, size-at)}
		sum, err := s.sum(at+s.size == size)
		if err != nil {
			return nil, err
		}
		number := len(parts) + 1
		part, err := b.client.PutObjectPart(ctx, b.config.Bucket, key, id, number, s, s.size,
			minio.PutObjectPartOptions{Sha256Hex: sum, DisableContentSha256: true})
		if err != nil {
			return nil, err
		}
		parts = append(parts, minio.CompletePart{PartNumber: number, ETag: part.ETag})
	}
	return parts, nil
}

// section is a part of a reader that can be read again and is not closed by the HTTP client.
type section struct {
	r          io.ReadSeeker
	base, size int64
	at         int64 // behind base
}

// Read implements io.Reader.
func (s *section) Read(p []byte) (int, error) {
	if s.at >= s.size {
		return 0, io.EOF
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.size-s.at)])
	s.at += int64(n)
	return n, err
}

// Seek implements io.Seeker.
func (s *section) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 || offset > s.size {
		return 0, errors.New("seek outside of the section")
	}
	if _, err := s.r.Seek(s.base+offset, io.SeekStart); err != nil {
		return 0, err
	}
	s.at = offset
	return offset, nil
}

// sum gives the SHA-256 of the section in hexadecimal digits, and goes back to its start. It is an error
// when the section is not there as a whole, or when more follows on the last one.
func (s *section) sum(last bool) (string, error) {
	if _, err := s.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	h := sha256.New()
	n, err := io.Copy(h, s)
	if err != nil {
		return "", err
	}
	if n < s.size {
		return "", fmt.Errorf("the reader has %d octets: %w", s.base+n, errSize)
	}
	if last {
		if n, _ := io.ReadFull(s.r, make([]byte, 1)); n > 0 {
			return "", fmt.Errorf("the reader has more than %d octets: %w", s.base+s.size, errSize)
		}
	}
	_, err = s.Seek(0, io.SeekStart)
	return hex.EncodeToString(h.Sum(nil)), err
}

// errSize says that a reader has not as many octets as were announced.
var errSize = errors.New("not the size that was announced")
