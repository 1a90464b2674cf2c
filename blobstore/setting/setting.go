// Package setting is what a cluster says of its object storage: where it is, how big packs become, how
// much may wait for it, what it costs. It is kept in the directory as JSON and read by every node. The
// secrets that open the store are not in it, and opening the store is not done here.
package setting

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
)

// ErrInvalid says that a setting cannot be meant.
var ErrInvalid = errors.New("not a setting of object storage")

// Where credentials of an S3 store come from.
const (
	CredentialsFile = "file" // a file on each node
	CredentialsEnv  = "env"  // the environment of the node's process
	CredentialsRole = "role" // the machine's role, from the provider's metadata service
)

// How the bucket stands in addresses of an S3 store.
const (
	StylePath    = "path"    // https://endpoint/bucket/object
	StyleVirtual = "virtual" // https://bucket.endpoint/object
)

// Setting is where the bodies of a cluster are to be. Fields are added, never given another meaning: nodes
// of two versions read the same text.
type Setting struct {
	// URL is s3://bucket/prefix or file:///directory; the prefix may be empty.
	URL string `json:"url"`
	// Embedded says that bodies are to come home; the store is read until the last one did.
	Embedded bool `json:"embedded,omitempty"`

	// Serial counts how often an operator said where bodies are to be: the store is opened anew then.
	Serial uint64 `json:"serial,omitempty"`

	Endpoint        string `json:"endpoint,omitempty"` // URL of the store; empty: AWS
	Region          string `json:"region,omitempty"`
	Style           string `json:"style,omitempty"`            // StylePath, StyleVirtual; empty: what fits the endpoint
	CA              string `json:"ca,omitempty"`               // PEM of the authorities of the store; empty: those of the system
	Insecure        bool   `json:"insecure,omitempty"`         // http:// is allowed to another machine
	Credentials     string `json:"credentials,omitempty"`      // CredentialsFile, CredentialsEnv or CredentialsRole
	CredentialsFile string `json:"credentials_file,omitempty"` // path on each node, where the node's configuration names none

	Encrypt  bool     `json:"encrypt,omitempty"`  // new packs are encrypted with Key
	Key      string   `json:"key,omitempty"`      // id of the cluster key, in hexadecimal digits
	Retiring []string `json:"retiring,omitempty"` // ids of keys whose packs are to be rewritten

	PackBytes      int64 `json:"pack_bytes"`       // octets at which a pack is made
	PackAgeSeconds int64 `json:"pack_age_seconds"` // after which one is made of what there is
	StagingBytes   int64 `json:"staging_bytes"`    // octets that may wait for the store on a node
	GraceSeconds   int64 `json:"grace_seconds"`    // from when an object is no longer used to its deletion

	Prices Prices `json:"prices"`
}

// Prices are what a store takes, in any currency.
type Prices struct {
	GiBMonth float64 `json:"gib_month"`  // for keeping a GiB for a month
	Puts     float64 `json:"puts_1000"`  // for 1,000 PUT and LIST requests
	Gets     float64 `json:"gets_1000"`  // for 1,000 GET and HEAD requests
	Egress   float64 `json:"egress_gib"` // for reading a GiB
	Currency string  `json:"currency"`   // as it is to be shown
	Source   string  `json:"source"`     // where the figures are from
}

// Bounds of a setting.
const (
	MinPackBytes = 64 << 10 // smaller than is of use, for tests
	MaxPackBytes = 64 << 20
	MinStaging   = 1 << 20
	maxSeconds   = 366 * 24 * 3600
	maxText      = 1024
	maxCA        = 64 << 10
	maxPrice     = 1e6
)

// Default is a setting with all that an operator need not say.
func Default() Setting {
	return Setting{
		PackBytes: 32 << 20, PackAgeSeconds: 24 * 3600, StagingBytes: 20 << 30, GraceSeconds: 72 * 3600,
		// The list prices of Amazon S3 Standard in us-east-1, the ones that others compare themselves with.
		Prices: Prices{GiBMonth: 0.023, Puts: 0.005, Gets: 0.0004, Egress: 0.09, Currency: "USD",
			Source: "Amazon S3 Standard, us-east-1"},
	}
}

// PackAge is PackAgeSeconds.
func (s Setting) PackAge() time.Duration { return time.Duration(s.PackAgeSeconds) * time.Second }

// Grace is GraceSeconds.
func (s Setting) Grace() time.Duration { return time.Duration(s.GraceSeconds) * time.Second }

// Place is where the objects are: two settings of the same place read the same objects.
func (s Setting) Place() string { return strings.TrimRight(s.URL, "/") + " at " + s.Endpoint }

// SameStore says that two settings open the same store in the same way.
func (s Setting) SameStore(o Setting) bool {
	return s.Place() == o.Place() && s.Region == o.Region && s.Style == o.Style && s.CA == o.CA && s.Insecure == o.Insecure &&
		s.Credentials == o.Credentials && s.CredentialsFile == o.CredentialsFile
}

// KeyID is the key that new packs are encrypted with; zero is none.
func (s Setting) KeyID() (id blobstore.KeyID, err error) {
	if !s.Encrypt {
		return id, nil
	}
	return ParseKeyID(s.Key)
}

// ParseKeyID reads the id of a key in hexadecimal digits. Errors are ErrInvalid.
func ParseKeyID(text string) (id blobstore.KeyID, err error) {
	if len(text) != 2*len(id) {
		return id, fmt.Errorf("key id %q: %w: it has %d hexadecimal digits", text, ErrInvalid, 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(text)); err != nil {
		return id, fmt.Errorf("key id %q: %w: %w", text, ErrInvalid, err)
	}
	return id, nil
}

// Parse reads what Text gave; an empty text is no setting, ok false. Fields of a later version are passed over.
func Parse(text string) (s Setting, ok bool, err error) {
	if text == "" {
		return s, false, nil
	}
	s = Default()
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, false, fmt.Errorf("read the setting of object storage: %w: %w", ErrInvalid, err)
	}
	return s, true, s.Check()
}

// Text is the setting as it is kept.
func (s Setting) Text() (string, error) {
	data, err := json.Marshal(s)
	return string(data), err
}
