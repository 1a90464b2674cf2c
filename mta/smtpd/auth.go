package smtpd

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/emersion/go-sasl"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/wire"
)

// mechanisms lists what AUTH takes now. Only users authenticate, and only inside of TLS where there is
// TLS: what follows would have to be in it anyway.
func (c *conn) mechanisms() []string {
	if c.srv.c.Auth == nil || !c.kind.submits() || c.login != "" || !c.secure && c.srv.c.TLS != nil {
		return nil
	}
	return c.srv.c.Auth.Mechanisms(c.loginConn())
}

// auth answers AUTH (RFC 4954). An error ends the connection.
func (c *conn) auth(arg string) error {
	words := strings.Fields(arg)
	switch {
	case !c.kind.submits():
		c.refuse(mta.Replyf(503, mta.BadSequence, "No authentication here"))
	case !c.extended:
		c.refuse(mta.Replyf(503, mta.BadSequence, "EHLO first"))
	case c.login != "":
		c.refuse(mta.Replyf(503, mta.BadSequence, "Authenticated already"))
	case c.mail != nil:
		c.refuse(mta.Replyf(503, mta.BadSequence, "Not during a mail transaction"))
	case len(words) == 0 || len(words) > 2:
		c.refuse(mta.Replyf(501, mta.BadArgument, "Syntax: AUTH mechanism [initial-response]"))
	default:
		return c.exchange(strings.ToUpper(words[0]), words[1:])
	}
	return nil
}

// exchange runs the mechanism, with the initial response where the client gave one.
func (c *conn) exchange(mechanism string, initial []string) error {
	if !contains(c.mechanisms(), mechanism) {
		err := login.ErrMechanism
		if !c.secure && c.srv.c.TLS != nil {
			err = login.ErrEncryption // in all likelihood
		}
		c.refuse(authReply(err))
		return nil
	}
	x, err := c.srv.c.Auth.Begin(mechanism, c.loginConn())
	if err != nil {
		return c.authFailed(mechanism, err)
	}
	var response []byte
	if len(initial) == 1 {
		if response, err = decode(initial[0]); err != nil {
			c.refuse(mta.Replyf(501, mta.BadSyntax, "Not base64"))
			return nil
		}
	}
	for {
		challenge, done, err := x.Next(response)
		if err != nil {
			return c.authFailed(mechanism, err)
		}
		if done && len(challenge) == 0 {
			break
		}
		var refusal *mta.Reply
		if response, refusal, err = c.ask(challenge); err != nil {
			return err
		}
		if refusal != nil {
			c.refuse(refusal)
			return nil
		}
		if done { // the challenge was additional data with success; the client's answer is empty
			break
		}
	}
	return c.authenticated(mechanism, x.Identity())
}

// authenticated ends an exchange that went well. It hangs up where the account has as many connections as it may
// have: the client is to come again later and not to think that its password is wrong.
func (c *conn) authenticated(mechanism string, who login.Identity) error {
	if !c.srv.claim(c, who.Account) {
		c.srv.c.Metrics.Auth(c.kind, false)
		c.log.Info("too many connections of an account", "login", who.Address)
		c.refuse(mta.Replyf(421, mta.TempSecurity, "Too many connections of your account"))
		return errHangUp
	}
	c.login = who.Address
	if c.session != nil {
		c.session.Login(who.Account, who.Address)
	}
	c.srv.c.Metrics.Auth(c.kind, true)
	c.log = c.log.With("login", c.login)
	c.log.Info("authenticated", "mechanism", mechanism)
	c.reply(mta.Replyf(235, mta.OKAuth, "Welcome"))
	return nil
}

// ask sends a challenge and reads the client's response. refusal is set where the client gave up or
// sent nonsense.
func (c *conn) ask(challenge []byte) (response []byte, refusal *mta.Reply, err error) {
	c.reply(mta.Replyf(334, "", "%s", base64.StdEncoding.EncodeToString(challenge)))
	line, err := c.readLine(wire.MaxCommandLine)
	switch {
	case errors.Is(err, wire.ErrLineTooLong):
		return nil, mta.Replyf(500, mta.BadSyntax, "Line too long"), nil
	case err != nil:
		return nil, nil, err
	case line == "*":
		return nil, mta.Replyf(501, mta.BadSyntax, "Cancelled"), nil
	}
	if response, err = decode(line); err != nil {
		return nil, mta.Replyf(501, mta.BadSyntax, "Not base64"), nil
	}
	return response, nil, nil
}

// authFailed answers a failed exchange, and ends the connection after too many of them.
func (c *conn) authFailed(mechanism string, err error) error {
	r := authReply(err)
	c.authFailures++
	c.srv.c.Metrics.Auth(c.kind, false)
	c.log.Info("authentication failed", "mechanism", mechanism, "error", err)
	c.refuse(r)
	if c.authFailures >= c.srv.c.Limits.AuthFailures && c.srv.c.Limits.AuthFailures > 0 {
		c.reply(mta.Replyf(421, mta.TempSecurity, "Too many failed authentications"))
		return errHangUp
	}
	return nil
}

// authReply gives the reply for a failed authentication (RFC 4954, section 6).
func authReply(err error) *mta.Reply {
	switch {
	case errors.Is(err, login.ErrBadCredentials), errors.Is(err, login.ErrAuthorization):
		return mta.Replyf(535, mta.BadCredentials, "Wrong user name or password")
	case errors.Is(err, login.ErrChannelBinding):
		return mta.Replyf(535, mta.BadCredentials, "The channel binding does not fit this TLS connection")
	case errors.Is(err, login.ErrDisabled):
		return mta.Replyf(535, mta.AccountDisabled, "This account is disabled")
	case errors.Is(err, login.ErrThrottled):
		return mta.Replyf(454, mta.TempSecurity, "Too many logins, try again later")
	case errors.Is(err, login.ErrMechanism):
		return mta.Replyf(504, mta.BadArgument, "Mechanism not offered")
	case errors.Is(err, login.ErrEncryption):
		return mta.Replyf(538, mta.TLSRequired, "Only inside of TLS: STARTTLS first")
	case errors.Is(err, login.ErrMalformed), errors.Is(err, sasl.ErrUnexpectedClientResponse):
		return mta.Replyf(501, mta.BadSyntax, "Malformed response")
	}
	return mta.Replyf(454, mta.TempSecurity, "Cannot authenticate now, try again later")
}

// decode reads base64; "=" is the empty response (RFC 4954, section 4). The result is never nil:
// to a mechanism, nil is no response at all.
func decode(s string) ([]byte, error) {
	if s == "=" || s == "" {
		return []byte{}, nil
	}
	return base64.StdEncoding.DecodeString(s)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
