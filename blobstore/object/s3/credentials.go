package s3

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/rookery-mail/rookery/blobstore/object"
)

// Credentials say where the access key comes from: exactly one of the three.
type Credentials struct {
	// File is the path of a file as AWS's tools have it (section [Profile], aws_access_key_id and
	// aws_secret_access_key), or of two lines with the access key and its secret. It is read again when
	// it changes.
	File    string
	Profile string // "default" when empty
	// Env takes AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of this process.
	Env bool
	// Role takes the machine's role from the provider's metadata service, and renews it.
	Role bool
}

// open makes minio-go's provider. What can be read now is read, so that a mistake is told at once.
func (c Credentials) open(timeout time.Duration) (*credentials.Credentials, error) {
	switch {
	case c.File != "" && !c.Env && !c.Role:
		provider := &fileProvider{path: c.File, profile: c.Profile}
		if _, err := provider.Retrieve(); err != nil {
			return nil, err
		}
		return credentials.New(provider), nil
	case c.Env && c.File == "" && !c.Role:
		keys := credentials.NewEnvAWS()
		value, err := keys.GetWithContext(nil)
		if err != nil || value.AccessKeyID == "" || value.SecretAccessKey == "" {
			return nil, fmt.Errorf("%w: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not in the environment", object.ErrDenied)
		}
		return keys, nil
	case c.Role && c.File == "" && !c.Env:
		return credentials.New(&credentials.IAM{Client: &http.Client{Timeout: timeout}}), nil
	}
	return nil, errors.New("credentials come from a file, the environment or the machine's role: say which")
}

// fileProvider reads credentials from a file, and again when the file has changed.
type fileProvider struct {
	path, profile string

	mu   sync.Mutex // guards seen
	seen os.FileInfo
}

// Retrieve implements credentials.Provider.
func (f *fileProvider) Retrieve() (credentials.Value, error) {
	info, err := os.Stat(f.path)
	var data []byte
	if err == nil {
		data, err = os.ReadFile(f.path)
	}
	if err != nil {
		return credentials.Value{}, fmt.Errorf("%w: read its credentials: %w", object.ErrDenied, err)
	}
	value, err := readKeys(data, f.profile)
	if err != nil {
		return credentials.Value{}, fmt.Errorf("%w: read its credentials from %s: %w", object.ErrDenied, f.path, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = info
	return value, nil
}

// RetrieveWithCredContext implements credentials.Provider.
func (f *fileProvider) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return f.Retrieve()
}

// IsExpired implements credentials.Provider: the keys are good while the file is the same. A file that is
// away, as in the middle of being replaced, changes nothing.
func (f *fileProvider) IsExpired() bool {
	info, err := os.Stat(f.path)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen == nil || err == nil && (info.Size() != f.seen.Size() || !info.ModTime().Equal(f.seen.ModTime()))
}

// readKeys reads a file of credentials: two lines, or sections of names and values.
func readKeys(data []byte, profile string) (credentials.Value, error) {
	if profile == "" {
		profile = "default"
	}
	value := credentials.Value{SignerType: credentials.SignatureV4}
	var bare []string
	section := ""
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' || text[0] == ';' {
			continue
		}
		if text[0] == '[' {
			section = strings.Trim(text, "[] \t")
			continue
		}
		// A secret may end in "=", so that only a line of a section is a name and a value.
		name, word, named := strings.Cut(text, "=")
		if section == "" || !named {
			bare = append(bare, text)
			continue
		}
		if section == profile {
			setKey(&value, strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(word))
		}
	}
	if section == "" && len(bare) == 2 {
		value.AccessKeyID, value.SecretAccessKey = bare[0], bare[1]
	}
	if value.AccessKeyID == "" || value.SecretAccessKey == "" {
		return value, fmt.Errorf("there are neither two lines with a key and its secret nor aws_access_key_id and aws_secret_access_key in [%s]", profile)
	}
	return value, nil
}

func setKey(value *credentials.Value, name, word string) {
	switch name {
	case "aws_access_key_id":
		value.AccessKeyID = word
	case "aws_secret_access_key":
		value.SecretAccessKey = word
	case "aws_session_token":
		value.SessionToken = word
	}
}
