package setting

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// Check returns ErrInvalid with what is wrong and what to write instead.
func (s Setting) Check() error {
	for _, check := range []func() error{s.checkURL, s.checkStore, s.checkKeys, s.checkAmounts, s.Prices.check} {
		if err := check(); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return nil
}

func (s Setting) checkURL() error {
	u, err := url.Parse(s.URL)
	if err != nil || len(s.URL) > maxText {
		return fmt.Errorf("%.100q is no URL", s.URL)
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("%s: nothing but a bucket and a prefix belongs into the URL", s.URL)
	}
	switch u.Scheme {
	case "s3":
		if u.Host == "" {
			return fmt.Errorf("%s names no bucket: write s3://bucket/prefix", s.URL)
		}
		return checkPrefix(u.Path)
	case "file":
		if u.Host != "" || !filepath.IsAbs(u.Path) {
			return fmt.Errorf("%s: write file:///directory with an absolute path", s.URL)
		}
		return nil
	}
	return fmt.Errorf("%q is neither s3://bucket/prefix nor file:///directory", s.URL)
}

func checkPrefix(path string) error {
	if len(path) > 256 {
		return errors.New("the prefix is longer than 256 octets")
	}
	if strings.Contains(path, "//") || slices.Contains(strings.Split(path, "/"), "..") {
		return fmt.Errorf("the prefix %q has an empty part or a \"..\"", path)
	}
	return nil
}

func (s Setting) checkStore() error {
	if len(s.Region) > maxText || len(s.CredentialsFile) > maxText || len(s.CA) > maxCA {
		return errors.New("region, credentials_file or ca is too long")
	}
	if s.Style != "" && s.Style != StylePath && s.Style != StyleVirtual {
		return fmt.Errorf("style %q: use %q or %q", s.Style, StylePath, StyleVirtual)
	}
	if strings.HasPrefix(s.URL, "file:") {
		return nil
	}
	if s.Credentials != CredentialsFile && s.Credentials != CredentialsEnv && s.Credentials != CredentialsRole {
		return fmt.Errorf("credentials %q: use %q, %q or %q", s.Credentials, CredentialsFile, CredentialsEnv, CredentialsRole)
	}
	if s.CredentialsFile != "" && !filepath.IsAbs(s.CredentialsFile) {
		return fmt.Errorf("credentials_file %q: use an absolute path, which is read on each node", s.CredentialsFile)
	}
	if s.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || strings.Trim(u.Path, "/") != "" || len(s.Endpoint) > maxText {
		return fmt.Errorf("endpoint %q: write https://host or https://host:port", s.Endpoint)
	}
	return nil
}

func (s Setting) checkKeys() error {
	if s.Encrypt || s.Key != "" {
		if _, err := ParseKeyID(s.Key); err != nil {
			return err
		}
	}
	for _, id := range s.Retiring {
		if _, err := ParseKeyID(id); err != nil {
			return err
		}
		if s.Encrypt && id == s.Key {
			return fmt.Errorf("key %s encrypts new packs and cannot be retired", id)
		}
	}
	return nil
}

func (s Setting) checkAmounts() error {
	switch {
	case s.PackBytes < MinPackBytes || s.PackBytes > MaxPackBytes:
		return fmt.Errorf("pack size %d: use 8 to 64 MiB", s.PackBytes)
	case s.PackAgeSeconds < 1 || s.PackAgeSeconds > maxSeconds:
		return fmt.Errorf("pack age of %d seconds: use a second to a year", s.PackAgeSeconds)
	case s.StagingBytes < MinStaging:
		return fmt.Errorf("staging bound of %d octets: use 1 MiB or more", s.StagingBytes)
	case s.GraceSeconds < 0 || s.GraceSeconds > maxSeconds:
		return fmt.Errorf("grace time of %d seconds: use none to a year", s.GraceSeconds)
	}
	return nil
}

func (p Prices) check() error {
	for _, f := range []float64{p.GiBMonth, p.Puts, p.Gets, p.Egress} {
		if !(f >= 0 && f <= maxPrice) {
			return fmt.Errorf("a price of %v", f)
		}
	}
	if len(p.Currency) > 16 || len(p.Source) > maxText {
		return errors.New("the name of the currency or the source of the prices is too long")
	}
	return nil
}
