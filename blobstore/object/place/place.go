// Package place opens the store that a cluster's setting names: a bucket that speaks S3, or a directory.
// It puts nothing around it; retries, limits and counts are up to whoever uses the store.
package place

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/object/s3"
	"github.com/rookery-mail/rookery/blobstore/setting"
)

// Local is what each node says for itself.
type Local struct {
	CredentialsFile string        // in place of the setting's, "" for that one
	Profile         string        // section of the file, "" for default
	Timeout         time.Duration // how long a store may be silent, 30 seconds when 0
}

// Open opens the store of s. Nothing is asked of a bucket yet (object.Check does); credentials are read, and
// a directory has to be there. Errors are setting.ErrInvalid, object.ErrDenied without credentials,
// or say what is wrong.
func Open(s setting.Setting, local Local) (object.Bucket, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("open the object store %q: %w", s.URL, setting.ErrInvalid)
	}
	switch u.Scheme {
	case "file":
		return object.OpenFile(u.Path)
	case "s3":
		return s3.Open(config(s, u, local))
	}
	return nil, fmt.Errorf("open the object store %q: %w: it is neither s3:// nor file://", s.URL, setting.ErrInvalid)
}

func config(s setting.Setting, u *url.URL, local Local) s3.Config {
	c := s3.Config{
		Endpoint: s.Endpoint, Region: s.Region, Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"), Insecure: s.Insecure,
		PathStyle: s.Style == setting.StylePath, VirtualStyle: s.Style == setting.StyleVirtual, Timeout: local.Timeout,
	}
	if s.CA != "" {
		c.CA = []byte(s.CA)
	}
	switch s.Credentials {
	case setting.CredentialsFile:
		c.Credentials = s3.Credentials{File: local.CredentialsFile, Profile: local.Profile}
		if c.Credentials.File == "" {
			c.Credentials.File = s.CredentialsFile
		}
	case setting.CredentialsEnv:
		c.Credentials.Env = true
	case setting.CredentialsRole:
		c.Credentials.Role = true
	}
	return c
}
