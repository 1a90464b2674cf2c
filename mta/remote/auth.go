package remote

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"

	"github.com/rookery-mail/rookery/mta"
)

// authenticate logs in where the place asks for that (RFC 4954), with the best mechanism that both know. Nothing of it
// goes over a connection without TLS.
func (s *session) authenticate() error {
	if s.place.user == "" {
		return nil
	}
	if s.tls == "" {
		return s.clear()
	}
	client, err := mechanism(strings.Fields(strings.ToUpper(s.ext["AUTH"])), s.place.user, s.place.secret)
	if err != nil {
		return fmt.Errorf("log in at %s: %w", s.place.host, err)
	}
	name, first, err := client.Start()
	if err != nil {
		return fmt.Errorf("log in at %s: %w", s.place.host, err)
	}
	line := "AUTH " + name
	if first != nil {
		line += " " + encoded(first)
	}
	for {
		r, err := s.command(s.client.c.Limits.Command, line)
		switch {
		case err != nil:
			return err
		case r.Code == 235:
			if c, ok := client.(*scramClient); ok && !c.done() {
				return fmt.Errorf("log in at %s: the host did not prove that it knows the password", s.place.host)
			}
			return nil
		case r.Code != 334:
			r.Text = "The host refuses our login: " + r.Text
			return r
		}
		if line, err = answer(client, r); err != nil {
			if _, err := s.command(s.client.c.Limits.Command, "*"); err != nil {
				return err
			}
			return fmt.Errorf("log in at %s: %w", s.place.host, err)
		}
	}
}

// answer is what a client says to a challenge.
func answer(client sasl.Client, r *mta.Reply) (string, error) {
	challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.Text))
	if err != nil {
		return "", fmt.Errorf("read the challenge: %w", err)
	}
	response, err := client.Next(challenge)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(response), nil
}

// encoded is an initial response (RFC 4954, section 4).
func encoded(first []byte) string {
	if len(first) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(first)
}

// mechanism is the client of the best mechanism that is offered.
func mechanism(offered []string, user, password string) (sasl.Client, error) {
	switch {
	case slices.Contains(offered, "SCRAM-SHA-256"):
		c, err := scram.SHA256.NewClient(user, password, "")
		if err != nil {
			return nil, err
		}
		return &scramClient{conversation: c.NewConversation()}, nil
	case slices.Contains(offered, sasl.Plain):
		return sasl.NewPlainClient("", user, password), nil
	case slices.Contains(offered, sasl.Login):
		return &loginClient{says: []string{user, password}}, nil
	}
	return nil, fmt.Errorf("it offers none of SCRAM-SHA-256, PLAIN and LOGIN, but: %s", strings.Join(offered, " "))
}

// scramClient is SCRAM-SHA-256 (RFC 7677) as a sasl.Client.
type scramClient struct{ conversation *scram.ClientConversation }

var _ sasl.Client = (*scramClient)(nil)

// Start implements sasl.Client.
func (c *scramClient) Start() (string, []byte, error) {
	first, err := c.conversation.Step("")
	return "SCRAM-SHA-256", []byte(first), err
}

// Next implements sasl.Client.
func (c *scramClient) Next(challenge []byte) ([]byte, error) {
	response, err := c.conversation.Step(string(challenge))
	return []byte(response), err
}

// done reports whether the host has shown that it knows the password too.
func (c *scramClient) done() bool { return c.conversation.Done() && c.conversation.Valid() }

// loginClient is LOGIN. It says name and password in this order, whatever words the host asks with: they differ.
type loginClient struct{ says []string }

var _ sasl.Client = (*loginClient)(nil)

// Start implements sasl.Client. Not every host takes the name as initial response.
func (c *loginClient) Start() (string, []byte, error) { return sasl.Login, nil, nil }

// Next implements sasl.Client.
func (c *loginClient) Next([]byte) ([]byte, error) {
	if len(c.says) == 0 {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	next := c.says[0]
	c.says = c.says[1:]
	return []byte(next), nil
}
