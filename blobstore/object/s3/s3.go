// Package s3 is a store that speaks S3: Amazon's, MinIO, Ceph, versitygw and the like, through minio-go.
// It makes one attempt for each call (object.Retry makes more), tells errors in the words of
// object.Bucket, and gives up on a store that is silent for Config.Timeout. It knows no settings of a
// cluster: blobstore/object/place turns those into a Config.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/rookery-mail/rookery/blobstore/object"
)

// Config says which bucket is opened, and how.
type Config struct {
	Endpoint string // URL without a path; empty is AWS in Region
	Region   string // empty is us-east-1
	Bucket   string
	Prefix   string // of all names, without a slash at its end; may be empty
	// PathStyle puts the bucket into the path, and VirtualStyle into the host's name; with neither it is
	// the host's name at Amazon and Google, else the path.
	PathStyle, VirtualStyle bool
	// Insecure allows an http endpoint that is not on this machine.
	Insecure    bool
	CA          []byte // PEM of the authorities to trust instead of the system's; nil are the system's
	Credentials Credentials
	// Timeout is how long the store may be silent, 30 seconds when 0.
	Timeout time.Duration
	// SinglePut is up to which size an object is put in one request, 64 MiB when 0; larger ones go in
	// parts of PartSize octets, 16 MiB when 0 and not below 5 MiB.
	SinglePut, PartSize int64
}

// Bucket is an opened bucket. It is for any number of goroutines.
type Bucket struct {
	config    Config
	client    *minio.Core
	transport *http.Transport
}

var _ object.Bucket = (*Bucket)(nil)

// Open checks c and reads the credentials; nothing is asked of the store.
func Open(c Config) (*Bucket, error) {
	c = withDefaults(c)
	host, secure, err := c.endpoint()
	if err != nil {
		return nil, fmt.Errorf("open the bucket %q: %w", c.Bucket, err)
	}
	transport, err := newTransport(c)
	if err != nil {
		return nil, fmt.Errorf("open the bucket %q: %w", c.Bucket, err)
	}
	credentials, err := c.Credentials.open(c.Timeout)
	if err != nil {
		return nil, fmt.Errorf("open the bucket %q: %w", c.Bucket, err)
	}
	lookup := minio.BucketLookupAuto
	switch {
	case c.PathStyle:
		lookup = minio.BucketLookupPath
	case c.VirtualStyle:
		lookup = minio.BucketLookupDNS
	}
	client, err := minio.NewCore(host, &minio.Options{Creds: credentials, Secure: secure, Transport: transport,
		Region: c.Region, BucketLookup: lookup, MaxRetries: 1})
	if err != nil {
		return nil, fmt.Errorf("open the bucket %q: %w", c.Bucket, err)
	}
	return &Bucket{config: c, client: client, transport: transport}, nil
}

// Close ends the connections that nobody uses.
func (b *Bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

func withDefaults(c Config) Config {
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.SinglePut == 0 {
		c.SinglePut = 64 << 20
	}
	if c.PartSize == 0 {
		c.PartSize = 16 << 20
	}
	c.Prefix = strings.Trim(c.Prefix, "/")
	if c.Prefix != "" {
		c.Prefix += "/"
	}
	return c
}

// endpoint checks where the store is and gives its host and whether TLS is spoken.
func (c Config) endpoint() (host string, secure bool, err error) {
	if c.Bucket == "" {
		return "", false, errors.New("it has no name")
	}
	if c.Prefix != "" {
		if err := object.CheckName(strings.TrimSuffix(c.Prefix, "/")); err != nil {
			return "", false, fmt.Errorf("the prefix: %w", err)
		}
	}
	if c.Endpoint == "" {
		return "s3." + c.Region + ".amazonaws.com", true, nil
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
		return "", false, fmt.Errorf("the endpoint %q is not https://host or https://host:port", c.Endpoint)
	}
	switch {
	case u.Scheme == "https":
		return u.Host, true, nil
	case u.Scheme != "http":
		return "", false, fmt.Errorf("the endpoint %q is neither https nor http", c.Endpoint)
	case c.Insecure || isLoopback(u.Hostname()):
		return u.Host, false, nil
	}
	return "", false, fmt.Errorf("the endpoint %s would be spoken to in clear; use https, or allow it expressly", c.Endpoint)
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// name is the object's name in the bucket.
func (b *Bucket) name(name string) string { return b.config.Prefix + name }

// Get implements object.Bucket.
func (b *Bucket) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := errors.Join(object.CheckRange(name, offset, length), object.CheckName(name)); err != nil {
		return nil, err
	}
	if length == 0 {
		return http.NoBody, ctx.Err()
	}
	wanted := byteRange(offset, length)
	var options minio.GetObjectOptions
	if wanted != "" {
		options.Set("Range", wanted)
	}
	body, info, header, err := b.client.GetObject(ctx, b.config.Bucket, b.name(name), options)
	if err != nil {
		return nil, b.failed(ctx, "get "+name, err)
	}
	if wanted != "" && !strings.HasPrefix(header.Get("Content-Range"), fmt.Sprintf("bytes %d-", offset)) {
		_ = body.Close() // not what was asked for
		return nil, fmt.Errorf("get %s: the store does not serve parts of objects", name)
	}
	if length < 0 {
		length = info.Size // what is to come, by Content-Length
	}
	return object.Exact(&reader{ctx, b, name, body}, length), nil
}

// byteRange is the Range field (RFC 9110, section 14.2), "" for the whole object.
func byteRange(offset, length int64) string {
	switch {
	case length > 0:
		return fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)
	case offset > 0:
		return fmt.Sprintf("bytes=%d-", offset)
	}
	return ""
}

// reader tells the errors of a body in the words of object.Bucket.
type reader struct {
	ctx    context.Context
	bucket *Bucket
	name   string
	io.ReadCloser
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = r.bucket.failed(r.ctx, "read "+r.name, err)
	}
	return n, err
}

// Stat implements object.Bucket.
func (b *Bucket) Stat(ctx context.Context, name string) (object.Info, error) {
	if err := object.CheckName(name); err != nil {
		return object.Info{}, err
	}
	info, err := b.client.StatObject(ctx, b.config.Bucket, b.name(name), minio.StatObjectOptions{})
	if err != nil {
		return object.Info{}, b.failed(ctx, "stat "+name, err)
	}
	return object.Info{Name: name, Size: info.Size, Modified: info.LastModified}, nil
}

// Delete implements object.Bucket.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if err := object.CheckName(name); err != nil {
		return err
	}
	err := b.client.RemoveObject(ctx, b.config.Bucket, b.name(name), minio.RemoveObjectOptions{})
	if err != nil {
		if err = b.failed(ctx, "delete "+name, err); errors.Is(err, object.ErrNotFound) {
			return nil
		}
	}
	return err
}

// List implements object.Bucket. Objects of others, whose names object.CheckName refuses, are passed over.
func (b *Bucket) List(ctx context.Context, prefix string, fn func(object.Info) error) error {
	listing, cancel := context.WithCancel(ctx)
	defer cancel()
	options := minio.ListObjectsOptions{Prefix: b.name(prefix), Recursive: true}
	for info := range b.client.ListObjectsIter(listing, b.config.Bucket, options) {
		if info.Err != nil {
			return b.failed(ctx, fmt.Sprintf("list %q", prefix), info.Err)
		}
		name, ours := strings.CutPrefix(info.Key, b.config.Prefix)
		if !ours || object.CheckName(name) != nil {
			continue
		}
		if err := fn(object.Info{Name: name, Size: info.Size, Modified: info.LastModified}); err != nil {
			return err
		}
	}
	return ctx.Err()
}
